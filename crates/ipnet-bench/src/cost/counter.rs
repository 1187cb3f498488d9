//! The processor's own energy counter: what this software takes, measured.
//!
//! Linux shows it below `/sys/class/powercap` (Intel RAPL; AMD counts there too): a folder per package with `name`, `energy_uj`,
//! which grows about once a millisecond, and `max_energy_range_uj`, after which it starts again at 0. It counts the whole package,
//! whoever uses it, so that a figure is an upper bound of the program's. Virtual machines seldom show it.

use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Where Linux shows the counters.
pub const POWERCAP: &str = "/sys/class/powercap";

/// The energy counters of every processor package.
#[derive(Clone, Debug, PartialEq)]
pub struct EnergyCounter {
    packages: Vec<Package>,
}

#[derive(Clone, Debug, PartialEq)]
struct Package {
    energy: PathBuf,
    range_uj: u64,
}

/// What the counters show at one time, one value per package \[uJ\].
#[derive(Clone, Debug, PartialEq)]
pub struct Reading(Vec<u64>);

impl EnergyCounter {
    /// The packages below `root` ([`POWERCAP`]).
    ///
    /// # Errors
    /// None there, or one that may not be read (most systems show them to root alone).
    pub fn open(root: &Path) -> Result<Self> {
        let nothing = || Error::Argument {
            what: format!("energy counters of the processor in {}", root.display()),
            expected: "intel-rapl:<n>/energy_uj, one for each package".into(),
            found: "none".into(),
        };
        let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
            .map_err(|_| nothing())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                std::fs::read_to_string(path.join("name")).is_ok_and(|name| name.starts_with("package"))
            })
            .collect();
        folders.sort();
        if folders.is_empty() {
            return Err(nothing());
        }
        let package = |folder: PathBuf| {
            let range_uj = number(&folder.join("max_energy_range_uj"))?;
            Ok(Package { energy: folder.join("energy_uj"), range_uj })
        };
        let counter = Self { packages: folders.into_iter().map(package).collect::<Result<_>>()? };
        counter.read()?;
        Ok(counter)
    }

    /// What they show now.
    ///
    /// # Errors
    /// A counter that cannot be read, or shows no number.
    pub fn read(&self) -> Result<Reading> {
        self.packages.iter().map(|package| number(&package.energy)).collect::<Result<_>>().map(Reading)
    }

    /// Energy between two readings \[J\]; right as long as no counter came past its start twice.
    pub fn joules(&self, from: &Reading, to: &Reading) -> f64 {
        let pairs = self.packages.iter().zip(from.0.iter().zip(&to.0));
        let uj = pairs.map(|(package, (&from, &to))| match to.checked_sub(from) {
            Some(grown) => grown,
            None => to + package.range_uj.saturating_sub(from),
        });
        1e-6 * uj.sum::<u64>() as f64
    }
}

fn number(path: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "read the energy counter"))?;
    text.trim().parse().map_err(|_| Error::Argument {
        what: format!("energy counter {}", path.display()),
        expected: "a whole number of microjoules".into(),
        found: format!("{:?}", text.trim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(root: &Path, number: usize, energy_uj: &str) {
        let folder = root.join(format!("intel-rapl:{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("name"), format!("package-{number}\n")).unwrap();
        std::fs::write(folder.join("energy_uj"), energy_uj).unwrap();
        std::fs::write(folder.join("max_energy_range_uj"), "1000\n").unwrap();
    }

    /// By hand: one package grows by 300 uJ, the other passes its end at 1000 and stands at 50: 150 uJ.
    #[test]
    fn energy_is_summed_over_packages_and_past_the_end_of_a_counter() {
        let root = tempfile::tempdir().unwrap();
        package(root.path(), 0, "100\n");
        package(root.path(), 1, "900\n");
        // A core of a package has a counter of its own, which the package's holds already.
        let core = root.path().join("intel-rapl:0:0");
        std::fs::create_dir_all(&core).unwrap();
        std::fs::write(core.join("name"), "core\n").unwrap();
        let counter = EnergyCounter::open(root.path()).unwrap();
        let from = counter.read().unwrap();
        package(root.path(), 0, "400\n");
        package(root.path(), 1, "50\n");
        let joules = counter.joules(&from, &counter.read().unwrap());
        assert!((joules - 450e-6).abs() < 1e-15, "{joules}");
    }

    #[test]
    fn a_machine_without_counters_and_one_that_shows_no_number_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let refused = |root: &Path| EnergyCounter::open(root).unwrap_err().to_string();
        assert!(refused(&root.path().join("nothing")).contains("found none"));
        assert!(refused(root.path()).contains("found none"));
        package(root.path(), 0, "much");
        let message = refused(root.path());
        assert!(message.contains("intel-rapl:0") && message.contains("\"much\""), "{message}");
    }
}

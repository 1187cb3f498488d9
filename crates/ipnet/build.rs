//! Puts the revision of the sources into the program: what a run says it was made by must be what ran.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn main() {
    // Every source of the workspace, and where git keeps the current commit.
    println!("cargo:rerun-if-changed=..");
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let Some(head) = git(&["rev-parse", "HEAD"]) else { return };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".."]);
    let dirty = if changed.is_some_and(|files| !files.is_empty()) { "-dirty" } else { "" };
    println!("cargo:rustc-env=IPNET_REVISION={head}{dirty}");
}

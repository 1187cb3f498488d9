//! Tasks that are loaded once, however many jobs or checkpoints ask for them.

use super::{DataFolder, Fold, FrameSet, Task, TaskName};
use crate::{Error, Result};
use std::path::PathBuf;

/// Loaded tasks by name and fold. Clips are decoded and framed once, for all folds and for all tasks of the same frames.
pub struct Shelf<'a> {
    data: Option<&'a DataFolder>,
    recordings: PathBuf,
    frames: Vec<(TaskName, FrameSet)>,
    tasks: Vec<(TaskName, Option<Fold>, Box<dyn Task>)>,
}

impl<'a> Shelf<'a> {
    /// An empty shelf: real recordings come from `data`, synthetic ones are made below `recordings`.
    pub fn new(data: Option<&'a DataFolder>, recordings: PathBuf) -> Self {
        Self { data, recordings, frames: Vec::new(), tasks: Vec::new() }
    }

    /// Loads a task that is not on the shelf yet.
    ///
    /// # Errors
    /// As [`TaskName::load`] and [`TaskName::fold`].
    pub fn load(&mut self, name: TaskName, fold: Option<Fold>) -> Result<()> {
        if self.get(name, fold).is_ok() {
            return Ok(());
        }
        let task: Box<dyn Task> = match (name.framed_as(), fold) {
            (None, None) => name.load(self.data, &self.recordings)?,
            (framed, fold) => {
                let framed = framed.unwrap_or(name);
                let known = self.frames.iter().position(|(task, _)| *task == framed);
                let at = known.unwrap_or(self.frames.len());
                if known.is_none() {
                    self.frames.push((framed, framed.frames_for(name, self.data, &self.recordings)?));
                }
                let frames = &self.frames[at].1;
                Box::new(match fold {
                    None => name.whole(frames.clone())?,
                    Some(fold) => name.fold(frames, fold)?,
                })
            }
        };
        self.tasks.push((name, fold, task));
        Ok(())
    }

    /// A loaded task.
    ///
    /// # Errors
    /// A task that was not loaded.
    pub fn get(&self, name: TaskName, fold: Option<Fold>) -> Result<&dyn Task> {
        let found = self.tasks.iter().find(|(task, of, _)| *task == name && *of == fold);
        found.map(|(_, _, task)| task.as_ref()).ok_or_else(|| Error::Argument {
            what: format!("task {}", name.name()),
            expected: "to be loaded first".into(),
            found: fold.map_or("it is not".into(), |fold| format!("{fold} is not")),
        })
    }

    /// Everything loaded, in the order of loading.
    pub fn tasks(&self) -> impl Iterator<Item = &dyn Task> {
        self.tasks.iter().map(|(_, _, task)| task.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits in time are the frames of another task; an error names the one that was asked for.
    #[test]
    fn an_error_names_the_task_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for fold in [None, Some(Fold { number: 1, of: 2 })] {
            let mut shelf = Shelf::new(None, folder.path().into());
            let message = shelf.load(TaskName::DigitsInTime20, fold).unwrap_err().to_string();
            assert!(message.starts_with("task digits-in-time-20: expected --data"), "{message}");
        }
    }
}

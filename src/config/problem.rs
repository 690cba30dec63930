//! What is wrong with a configuration, all of it, each with its place and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that stands in the way, as `file:line: key: what is wrong; what to write`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// The line, from 1; `None` where no line is to blame (something is missing altogether).
    pub line: Option<usize>,
    /// The key, with the table it belongs to: `endpoint "billing": timeout`.
    pub key: String,
    /// What is wrong; and, after a semicolon, what to write.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.what)
    }
}

/// Every problem of a configuration, in the order of files and lines. Never empty as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Nothing wrong so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one problem.
    pub fn add(
        &mut self,
        file: &Path,
        line: Option<usize>,
        key: impl Into<String>,
        what: impl Into<String>,
    ) {
        let problem = Problem {
            file: file.to_owned(),
            line,
            key: key.into(),
            what: what.into(),
        };
        self.0.push(problem);
    }

    /// Brings the problems into the order in which an editor meets them. What is missing only because
    /// its key is misspelled is one problem and not two.
    pub fn sorted(mut self) -> Problems {
        self.leave_out_misspelled();
        self.0
            .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        self
    }
}

impl Problems {
    fn leave_out_misspelled(&mut self) {
        let meant = |problem: &Problem| {
            let key = problem
                .what
                .rsplit_once("did you mean ")?
                .1
                .strip_suffix('?')?;
            let (list, _) = problem.key.split_once(':')?;
            Some((
                list.to_string(),
                key.to_string(),
                problem.file.clone(),
                problem.line?,
            ))
        };
        let slips: Vec<_> = self.0.iter().filter_map(meant).collect();
        for (list, key, file, line) in slips {
            let is_it = |problem: &Problem| {
                let own = problem.key.rsplit_once(": ");
                own.is_some_and(|(table, own)| table.starts_with(&list) && own == key)
                    && problem.file == file
                    && problem.line.is_some_and(|begins| begins <= line)
                    && (problem.what.starts_with("missing;")
                        || problem.what.starts_with("there is no secret"))
            };
            // Of several tables without the key: the one the slip stands in.
            let missing = self
                .0
                .iter()
                .enumerate()
                .filter(|(_, problem)| is_it(problem));
            let found = missing
                .max_by_key(|(_, problem)| problem.line)
                .map(|(index, _)| index);
            if let Some(index) = found {
                self.0.remove(index);
            }
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

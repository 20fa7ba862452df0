//! Which checkpoints share which files: Flink's `SharedStateRegistry`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Metadata, Scope};

/// The shared files of a job with the retained checkpoints that name them. A file lives until none does.
#[derive(Debug, Default)]
pub struct SharedStateRegistry {
    users: BTreeMap<String, BTreeSet<u64>>,
}

impl SharedStateRegistry {
    /// A checkpoint is complete and retained.
    pub fn register(&mut self, metadata: &Metadata) {
        for name in shared_files(metadata) {
            self.users.entry(name).or_default().insert(metadata.id);
        }
    }

    /// A checkpoint is no longer retained. Returns the files that nobody needs any more, to be deleted.
    pub fn unregister(&mut self, metadata: &Metadata) -> Vec<String> {
        let mut orphans = Vec::new();
        for name in shared_files(metadata) {
            if let Some(users) = self.users.get_mut(&name) {
                users.remove(&metadata.id);
                if users.is_empty() {
                    self.users.remove(&name);
                    orphans.push(name);
                }
            }
        }
        orphans
    }

    /// Whether a retained checkpoint needs a file.
    pub fn is_needed(&self, name: &str) -> bool {
        self.users.contains_key(name)
    }
}

/// The names of a checkpoint's shared files, each once.
fn shared_files(metadata: &Metadata) -> BTreeSet<String> {
    let files = metadata.streams().filter_map(|stream| stream.file());
    files.filter(|file| file.scope == Scope::Shared).map(|file| file.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::metadata::tests::metadata_with_shared;
    use proptest::prelude::*;

    proptest! {
        /// Whatever checkpoints share, a file is given up exactly when the last retained one that names it goes.
        #[test]
        fn a_file_lives_as_long_as_a_retained_checkpoint_names_it(
            checkpoints in prop::collection::vec(prop::collection::btree_set(0..6_u8, 0..6), 1..20),
            retained in 1..4_usize,
        ) {
            let mut registry = SharedStateRegistry::default();
            let mut kept: Vec<Metadata> = Vec::new();
            let mut there: BTreeSet<String> = BTreeSet::new();
            for (id, files) in (1..).zip(checkpoints) {
                let files: Vec<String> = files.iter().map(|file| format!("{file}.sst")).collect();
                let metadata = metadata_with_shared(id, &files);
                there.extend(files);
                registry.register(&metadata);
                kept.push(metadata);
                while kept.len() > retained {
                    for orphan in registry.unregister(&kept.remove(0)) {
                        prop_assert!(there.remove(&orphan), "given up twice");
                    }
                }
                let needed: BTreeSet<String> = kept.iter().flat_map(shared_files).collect();
                prop_assert!(needed.is_subset(&there));
                let known: BTreeSet<String> = registry.users.keys().cloned().collect();
                prop_assert_eq!(&known, &needed);
            }
        }
    }
}

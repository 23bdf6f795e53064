//! Files of interrupted runs: whole or not at all, and nothing beside them that nobody would find again.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use relief_hessian::StateFile;

fn file(length: usize) -> StateFile {
    let long = (0..length).map(|i| (i as f64).sqrt()).collect();
    StateFile::new("k = 5", &[3, 0, 12], [("short", vec![f64::MIN_POSITIVE, -0.0, 1e300]), ("long", long)])
}

/// A kill while a state is written can leave a file of each name that is seen meanwhile.
#[test]
fn no_name_but_the_state_s_and_its_partial_one_is_ever_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("work.state");
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = HashSet::new();
            while !done.load(Ordering::Relaxed) {
                seen.extend(names(folder.path()));
            }
            seen
        });
        for _ in 0..5 {
            file(500_000).save(&path, "kind", "context").unwrap();
        }
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    for name in seen {
        assert!(["work.state", "work.partial"].contains(&name.as_str()), "{name}");
    }
    assert_eq!(names(folder.path()), ["work.state"]);
}

#[test]
fn what_was_saved_is_read_to_the_last_digit_by_us_and_by_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("work.state");
    // Half of a state that a kill left is no hindrance.
    std::fs::write(path.with_extension("partial"), "half").unwrap();
    file(1001).save(&path, "kind", "context").unwrap();
    assert!(!path.with_extension("partial").exists());

    let read = StateFile::load(&path, "kind", "context").unwrap();
    assert_eq!((read.settings, read.counts), ("k = 5".into(), vec![3, 0, 12]));
    let bits = |list: &[f64]| list.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (name, list) in &file(1001).lists {
        assert_eq!(bits(list), bits(&read.lists[name]), "{name}");
    }

    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["settings"], "k = 5");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("long").unwrap().shape(), [1001]);
    // The numbers lie where a program that maps the file can use them.
    assert_eq!(tensors.tensor("long").unwrap().data().as_ptr() as usize % 8, bytes.as_ptr() as usize % 8);
}

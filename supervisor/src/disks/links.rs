//! The places to which a path leads by its links, one after the other, each before it is asked.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Links on one path, as the kernel counts them.
const MOST: usize = 40;

/// Visits each place on the way of an absolute path, as far as it exists. A visit that fails ends the walk.
///
/// # Errors
/// The one of the visit.
pub(super) fn walk<E>(path: &Path, mut visit: impl FnMut(&Path) -> Result<(), E>) -> Result<(), E> {
    let mut ahead: Vec<OsString> = parts(path).collect();
    let (mut real, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = ahead.pop() {
        if part == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        visit(&next)?;
        match std::fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > MOST {
                    return Ok(());
                }
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                ahead.extend(parts(&target));
            }
            // It is no link, or the operation itself will say why not.
            Err(_) => real = next,
        }
    }
    Ok(())
}

/// Returns the parts of a path, the last one first.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().rev().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn each_place_behind_a_link_is_visited_before_it_is_asked() {
        let dir = std::env::temp_dir().join(format!("gob-links-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        symlink(dir.join("a"), dir.join("absolute")).unwrap();
        symlink("a/../a", dir.join("relative")).unwrap();
        symlink("round", dir.join("round")).unwrap();
        let visited = |path: &str| {
            let mut all = Vec::new();
            walk::<()>(&dir.join(path), |place| {
                all.extend(place.strip_prefix(&dir).ok().map(|place| place.to_str().unwrap().to_owned()));
                Ok(())
            })
            .unwrap();
            all.retain(|place| !place.is_empty());
            all.join(" ")
        };
        assert_eq!(visited("a/b"), "a a/b");
        assert_eq!(visited("absolute/b"), "absolute a a/b");
        assert_eq!(visited("relative/b"), "relative a a a/b");
        assert_eq!(visited("missing/b"), "missing missing/b");
        assert_eq!(visited("round").split(' ').count(), MOST + 1, "it ends");
        let refused =
            walk(&dir.join("absolute/b"), |place| if place.ends_with("a") { Err("no more") } else { Ok(()) });
        assert_eq!(refused, Err("no more"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}

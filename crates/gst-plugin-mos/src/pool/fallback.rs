//! Which memory the pool's buffers are of: the nearest to a camera's that this machine gives us.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use mos_frame::allocation::{DmaHeap, Udmabuf};

/// Kind of memory, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackKind {
    /// A dma-buf of the system's dma-heap.
    DmaHeap,
    /// A dma-buf that udmabuf makes of a memfd.
    Udmabuf,
    /// A memfd, sealed against writers to come.
    Memfd,
}

impl FallbackKind {
    const ALL: [Self; 3] = [Self::DmaHeap, Self::Udmabuf, Self::Memfd];

    /// Its name, as in the property `fallback`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DmaHeap => "dma-heap",
            Self::Udmabuf => "udmabuf",
            Self::Memfd => "memfd",
        }
    }
}

/// What the property `fallback` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wish {
    /// The best that there is.
    #[default]
    Auto,
    /// This one; a memfd if it can't be had.
    Only(FallbackKind),
}

impl Wish {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(Self::Auto);
        }
        let kinds = FallbackKind::ALL.into_iter();
        kinds.map(Self::Only).find(|wish| wish.name() == text)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Only(kind) => kind.name(),
        }
    }

    /// What to try, in this order, before a memfd.
    fn candidates(self) -> &'static [FallbackKind] {
        match self {
            Self::Auto => &[FallbackKind::DmaHeap, FallbackKind::Udmabuf],
            Self::Only(FallbackKind::DmaHeap) => &[FallbackKind::DmaHeap],
            Self::Only(FallbackKind::Udmabuf) => &[FallbackKind::Udmabuf],
            Self::Only(FallbackKind::Memfd) => &[],
        }
    }
}

/// What was chosen, and why nothing better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice<T> {
    /// The source of the memory; `None` is memfds.
    pub(crate) source: Option<T>,
    kind: FallbackKind,
    /// What is better and can't be had, with the reason.
    missing: Vec<(FallbackKind, String)>,
}

/// Takes the first that can be had.
fn choose<T>(wish: Wish, attempt: impl Fn(FallbackKind) -> Result<T, String>) -> Choice<T> {
    let mut missing = Vec::new();
    for &kind in wish.candidates() {
        match attempt(kind) {
            Ok(source) => {
                return Choice {
                    source: Some(source),
                    kind,
                    missing,
                };
            }
            Err(why) => missing.push((kind, why)),
        }
    }
    Choice {
        source: None,
        kind: FallbackKind::Memfd,
        missing,
    }
}

impl<T> Choice<T> {
    /// Which memory it is.
    pub(crate) const fn kind(&self) -> FallbackKind {
        self.kind
    }
}

impl<T> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        for (i, (kind, why)) in self.missing.iter().enumerate() {
            let before = if i == 0 { " (" } else { "; " };
            write!(f, "{before}no {}: {why}", kind.name())?;
        }
        f.write_str(if self.missing.is_empty() { "" } else { ")" })
    }
}

/// A device that gives dma-bufs.
#[derive(Debug)]
pub(crate) enum Source {
    DmaHeap(DmaHeap),
    Udmabuf(Udmabuf),
}

impl Source {
    /// The best source of buffers of `size` bytes on this machine: each is opened and asked for one.
    pub(crate) fn find(wish: Wish, size: u64) -> Choice<Self> {
        choose(wish, |kind| {
            let opened = match kind {
                FallbackKind::DmaHeap => DmaHeap::open().map(Self::DmaHeap),
                FallbackKind::Udmabuf => Udmabuf::open().map(Self::Udmabuf),
                FallbackKind::Memfd => Err(io::ErrorKind::Unsupported.into()),
            };
            let source = opened.map_err(|why| format!("{}: {why}", path(kind)))?;
            let tried = source.allocate(size);
            tried.map_err(|why| format!("{} gives no {size} bytes: {why}", path(kind)))?;
            Ok(source)
        })
    }

    /// A new dma-buf of at least `size` bytes.
    pub(crate) fn allocate(&self, size: u64) -> io::Result<OwnedFd> {
        match self {
            Self::DmaHeap(heap) => heap.allocate(size),
            Self::Udmabuf(device) => device.allocate(size),
        }
    }
}

const fn path(kind: FallbackKind) -> &'static str {
    match kind {
        FallbackKind::DmaHeap => DmaHeap::PATH,
        FallbackKind::Udmabuf => Udmabuf::PATH,
        FallbackKind::Memfd => "memfd",
    }
}

#[cfg(test)]
mod tests {
    use super::FallbackKind::{DmaHeap, Memfd, Udmabuf};
    use super::*;

    #[test]
    fn the_best_that_there_is_and_why_nothing_better() {
        let auto = Wish::Auto;
        let cases: [(Wish, &[FallbackKind], FallbackKind, &str); 9] = [
            (auto, &[DmaHeap, Udmabuf], DmaHeap, "dma-heap"),
            (auto, &[DmaHeap], DmaHeap, "dma-heap"),
            (auto, &[Udmabuf], Udmabuf, "udmabuf (no dma-heap: gone)"),
            (
                auto,
                &[],
                Memfd,
                "memfd (no dma-heap: gone; no udmabuf: gone)",
            ),
            (
                Wish::Only(DmaHeap),
                &[DmaHeap, Udmabuf],
                DmaHeap,
                "dma-heap",
            ),
            (
                Wish::Only(DmaHeap),
                &[Udmabuf],
                Memfd,
                "memfd (no dma-heap: gone)",
            ),
            (Wish::Only(Udmabuf), &[DmaHeap, Udmabuf], Udmabuf, "udmabuf"),
            (
                Wish::Only(Udmabuf),
                &[DmaHeap],
                Memfd,
                "memfd (no udmabuf: gone)",
            ),
            (Wish::Only(Memfd), &[DmaHeap, Udmabuf], Memfd, "memfd"),
        ];
        for (wish, there, kind, text) in cases {
            let found = |kind| there.contains(&kind).then_some(kind);
            let choice = choose(wish, |kind| found(kind).ok_or_else(|| "gone".to_owned()));
            assert_eq!(choice.kind, kind, "{wish:?} {there:?}");
            assert_eq!(choice.source, Some(kind).filter(|kind| *kind != Memfd));
            assert_eq!(choice.to_string(), text, "{wish:?} {there:?}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["auto", "dma-heap", "udmabuf", "memfd"] {
            assert_eq!(Wish::parse(name).unwrap().name(), name);
        }
        assert_eq!(Wish::parse("cma"), None);
    }

    #[test]
    fn a_real_search_ends_with_something() {
        let choice = Source::find(Wish::Auto, 4096);
        assert!(choice.source.is_some() || choice.missing.len() == 2);
        let memfd = Source::find(Wish::Only(Memfd), 4096);
        assert!(memfd.source.is_none() && memfd.missing.is_empty());
    }
}

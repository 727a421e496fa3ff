//! Memory for bytes on their way, which is given back when they have left.
//!
//! The pieces of parts come and go in thousands from all threads. An allocator that keeps what was freed for
//! the next time, in an arena for each thread, holds several times what is in use; so pages are asked of the
//! system for each piece that is worth it, and go back to it.

use bytes::{BufMut, Bytes, BytesMut};
use memmap2::MmapMut;

/// The least bytes for which pages are asked.
const PAGES: usize = 64 << 10;

/// A piece that is being filled.
pub(super) struct Piece {
    memory: Memory,
    len: usize,
}

enum Memory {
    Heap(BytesMut),
    Pages(MmapMut),
}

/// A piece that is full, or will not be.
struct Filled {
    pages: MmapMut,
    len: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.pages[..self.len]
    }
}

impl Piece {
    /// Without room for anything.
    pub(super) fn none() -> Self {
        Self { memory: Memory::Heap(BytesMut::new()), len: 0 }
    }

    /// With room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        // Without pages of its own it comes out of the heap, which fails as allocations do.
        let pages = (bytes >= PAGES).then(|| MmapMut::map_anon(bytes).ok()).flatten();
        let memory = pages.map_or_else(|| Memory::Heap(BytesMut::with_capacity(bytes)), Memory::Pages);
        Self { memory, len: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more bytes fit.
    pub(super) fn spare(&self) -> usize {
        match &self.memory {
            Memory::Heap(bytes) => bytes.capacity() - bytes.len(),
            Memory::Pages(pages) => pages.len() - self.len,
        }
    }

    /// Adds bytes. More than fit move the piece to larger memory.
    pub(super) fn put(&mut self, data: &[u8]) {
        if data.len() > self.spare()
            && let Memory::Pages(pages) = &self.memory
        {
            self.memory = Memory::Heap(BytesMut::from(&pages[..self.len]));
        }
        match &mut self.memory {
            Memory::Heap(bytes) => bytes.put_slice(data),
            Memory::Pages(pages) => pages[self.len..self.len + data.len()].copy_from_slice(data),
        }
        self.len += data.len();
    }

    /// The bytes.
    pub(super) fn freeze(self) -> Bytes {
        match self.memory {
            Memory::Heap(bytes) => bytes.freeze(),
            Memory::Pages(pages) => Bytes::from_owner(Filled { pages, len: self.len }),
        }
    }
}

#[cfg(test)]
mod tests {
    //! What is put in comes out, wherever it was.

    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        for capacity in [0, 1000, PAGES, 2 * PAGES] {
            let mut piece = Piece::with_capacity(capacity);
            assert!(piece.is_empty() && piece.spare() >= capacity);
            let mut expected = Vec::new();
            for n in 0..=9_u8 {
                let data = vec![n; capacity / 10 + 1];
                piece.put(&data);
                expected.extend(data);
            }
            assert_eq!(piece.freeze(), expected, "{capacity} bytes, and more than that");
        }
    }
}

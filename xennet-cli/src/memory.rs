//! Memory for a program that lives for a millisecond.
//!
//! What the first thread asks for comes from one piece, one behind the other, and only the last of it is ever taken back:
//! a plug needs no more than that, for the end of the process is the end of it all. The C library's `malloc`
//! takes a quarter of a plug's instructions. Once the piece is used up, and for all other
//! threads, it is that `malloc` as ever: `xennet network start` may wait for days.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

#[cfg_attr(not(test), global_allocator)]
static MEMORY: Memory = Memory(UnsafeCell::new([0; ROOM]));

/// Pages of it that nobody touches cost nothing.
const ROOM: usize = 256 * 1024;

thread_local! {
    /// How much of the piece is taken: for all threads but the first, more than there is.
    static TAKEN: Cell<usize> = const { Cell::new(ROOM + 1) };
}

/// Gives the piece to the calling thread. Only once, and before it starts another.
pub(crate) fn begin() {
    TAKEN.set(0);
}

#[repr(align(64))]
struct Memory(UnsafeCell<[u8; ROOM]>);

#[expect(unsafe_code, reason = "no thread but the first ever gets a part of the piece")]
// SAFETY: `TAKEN` keeps all other threads from it, and whoever has a part of it has it for himself.
unsafe impl Sync for Memory {}

impl Memory {
    fn start(&self) -> usize {
        self.0.get().addr()
    }

    /// Where a block lies in the piece; none when it is `malloc`'s.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        block.addr().checked_sub(self.start()).filter(|offset| *offset < ROOM)
    }

    /// Whether a block is the last one that was taken by this thread.
    fn is_last(offset: usize, size: usize) -> bool {
        offset + size == TAKEN.get()
    }
}

#[expect(unsafe_code, reason = "an allocator is an unsafe trait")]
// SAFETY: a block of the piece lies in it whole, begins at a multiple of its alignment, and overlaps no other that is not
// given back: `TAKEN` never goes below the end of one that is in use. All others are `System`'s.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = TAKEN.get();
        let aligned = (self.start() + taken).next_multiple_of(layout.align()) - self.start();
        match aligned.checked_add(layout.size()).filter(|end| *end <= ROOM) {
            Some(end) => {
                TAKEN.set(end);
                // SAFETY: `aligned` is at most `end`, which is at most where the piece ends.
                unsafe { self.0.get().cast::<u8>().add(aligned) }
            }
            // SAFETY: as we were asked.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset(block) {
            Some(offset) if Self::is_last(offset, layout.size()) => TAKEN.set(offset),
            Some(_) => {}
            // SAFETY: it is none of the piece's, so it is `System`'s.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(block) else {
            // SAFETY: it is none of the piece's, so it is `System`'s.
            return unsafe { System.realloc(block, layout, size) };
        };
        if Self::is_last(offset, layout.size()) && size <= ROOM - offset {
            TAKEN.set(offset + size);
            return block;
        }
        // SAFETY: whoever calls us vouches for the new size.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as we were asked; the new block is another one, and has room for what is copied.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "blocks are made, filled, moved and given back by hand")]
    fn no_block_is_anothers_and_each_keeps_what_is_in_it() {
        // Another thread gets nothing of the piece.
        let foreign = Layout::from_size_align(8, 8).unwrap();
        // SAFETY: it is given back with the layout that it was made with.
        unsafe {
            let block = MEMORY.alloc(foreign);
            assert_eq!(MEMORY.offset(block), None);
            MEMORY.dealloc(block, foreign);
        }
        begin();
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from((random >> 33) % below).unwrap()
        };
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let (mut ours, mut theirs) = (0, 0);
        for n in 0..20_000 {
            // SAFETY: each block is filled to its end and no further, and given back with the layout that it has.
            unsafe {
                match next(5) {
                    0 | 1 if blocks.len() < 200 => {
                        let layout = Layout::from_size_align(1 + next(600), 1 << next(7)).unwrap();
                        let (block, byte) = (MEMORY.alloc(layout), u8::try_from(n % 251).unwrap());
                        assert!(block.addr().is_multiple_of(layout.align()));
                        if MEMORY.offset(block).is_some() {
                            ours += 1;
                        } else {
                            theirs += 1;
                        }
                        block.write_bytes(byte, layout.size());
                        blocks.push((block, layout, byte));
                    }
                    2 if !blocks.is_empty() => {
                        let at = next(blocks.len() as u64);
                        let (block, layout, byte) = blocks[at];
                        let size = 1 + next(900);
                        let new = MEMORY.realloc(block, layout, size);
                        assert!(new.addr().is_multiple_of(layout.align()));
                        let kept = std::slice::from_raw_parts(new, layout.size().min(size));
                        assert!(kept.iter().all(|one| *one == byte));
                        new.write_bytes(byte, size);
                        blocks[at] =
                            (new, Layout::from_size_align(size, layout.align()).unwrap(), byte);
                    }
                    // The last as a rule: then its place is used again.
                    _ => {
                        let Some((block, layout, byte)) = blocks.pop() else { continue };
                        let kept = std::slice::from_raw_parts(block, layout.size());
                        assert!(kept.iter().all(|one| *one == byte));
                        MEMORY.dealloc(block, layout);
                    }
                }
            }
        }
        assert!(ours > 500 && theirs > 0, "{ours} of the piece, {theirs} of malloc's");
    }
}

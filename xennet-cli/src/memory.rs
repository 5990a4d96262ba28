//! Memory for a program that lives for a millisecond.
//!
//! What the first thread asks for, up to 128 KiB at once, comes from one piece, and what it gives back is what it gets next: a
//! plug needs no more than that. The C library's `malloc` takes a quarter of a plug's instructions, and each page that is
//! touched first costs as much as some hundred of them. Once the piece is used up, and for all other threads, it is that
//! `malloc` as ever: `xennet network start` may wait for days.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

// Behind all else that begins as zeros, which then shares its pages with what does not.
#[cfg_attr(not(test), global_allocator)]
#[expect(unsafe_code, reason = "where it lies is the linker script's")]
#[unsafe(link_section = ".bss.piece")]
static MEMORY: Memory = Memory {
    taken: Cell::new(0),
    free: [const { Cell::new(ptr::null_mut()) }; SIZES],
    piece: UnsafeCell::new(Piece([0; ROOM])),
};

/// Pages of it that nobody touches cost nothing.
const ROOM: usize = 512 * 1024;

/// How many sizes of blocks there are: the first is `SMALLEST`, each other one twice the one before.
const SIZES: usize = 14;
const SMALLEST: usize = 16;

const ALIGN: usize = align_of::<Piece>();

thread_local! {
    static IS_FIRST: Cell<bool> = const { Cell::new(false) };
}

/// Gives the piece to the calling thread. Only once, and before it starts another.
pub(crate) fn begin() {
    IS_FIRST.set(true);
}

// What comes first lies beside what else is needed.
#[repr(C)]
struct Memory {
    /// How much of the piece was taken, ever.
    taken: Cell<usize>,
    /// Of each size, the block that was given back last. It has the address of the one before in it.
    free: [Cell<*mut u8>; SIZES],
    piece: UnsafeCell<Piece>,
}

#[repr(align(64))]
struct Piece([u8; ROOM]);

#[expect(unsafe_code, reason = "no thread but the first takes from it or gives back to it")]
// SAFETY: `IS_FIRST` keeps all others from it, and whoever has a block of the piece has it for himself.
unsafe impl Sync for Memory {}

#[expect(clippy::cast_ptr_alignment, reason = "each block is aligned to its size, or to 64 bytes")]
impl Memory {
    #[expect(unsafe_code, reason = "the piece is nobody's and everybody's")]
    fn start(&self) -> *mut u8 {
        // SAFETY: nothing is read.
        unsafe { &raw mut (*self.piece.get()).0 }.cast()
    }

    /// Whether a block lies in the piece; else it is `malloc`'s.
    fn has(&self, block: *mut u8) -> bool {
        block.addr().wrapping_sub(self.start().addr()) < ROOM
    }

    /// The first of the sizes that is enough, which may be beyond the last.
    fn size(layout: Layout) -> usize {
        let last = (layout.size().max(layout.align()) - 1) | (SMALLEST - 1);
        (last.ilog2() - (SMALLEST - 1).ilog2()) as usize
    }

    /// The blocks of this size that are free; none when there are none of that size, or the piece is another thread's.
    fn free(&self, layout: Layout) -> Option<&Cell<*mut u8>> {
        self.free.get(Self::size(layout)).filter(|_| IS_FIRST.get())
    }

    /// A block of the piece.
    #[expect(unsafe_code, reason = "what is free is found by addresses")]
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let free = self.free(layout).filter(|_| layout.align() <= ALIGN)?;
        let block = free.get();
        if !block.is_null() {
            // SAFETY: whoever gave it back wrote that into it, and nobody has had it since.
            free.set(unsafe { block.cast::<*mut u8>().read() });
            return Some(block);
        }
        let bytes = SMALLEST << Self::size(layout);
        let start = self.taken.get().next_multiple_of(bytes.min(ALIGN));
        (start + bytes <= ROOM).then(|| {
            self.taken.set(start + bytes);
            // SAFETY: it ends where the piece ends, or before.
            unsafe { self.start().add(start) }
        })
    }
}

#[expect(clippy::cast_ptr_alignment, reason = "each block is aligned to its size, or to 64 bytes")]
#[expect(unsafe_code, reason = "an allocator is an unsafe trait")]
// SAFETY: a block of the piece lies in it whole, begins at a multiple of its alignment, and overlaps no other that is not
// given back: `taken` never goes down, and `free` has only what was given back. All others are `System`'s.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as we were asked.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !self.has(block) {
            // SAFETY: it is none of the piece's, so it is `System`'s.
            unsafe { System.dealloc(block, layout) };
        } else if let Some(free) = self.free(layout) {
            // SAFETY: it has room for an address, is aligned for one, and nobody else has it any more.
            unsafe { block.cast::<*mut u8>().write(free.get()) };
            free.set(block);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.has(block) {
            // SAFETY: it is none of the piece's, so it is `System`'s.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: whoever calls us vouches for the new size.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if Self::size(new) == Self::size(layout) {
            return block;
        }
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
            assert!(!MEMORY.has(block));
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
                        let layout = Layout::from_size_align(1 + next(4000), 1 << next(8)).unwrap();
                        let (block, byte) = (MEMORY.alloc(layout), u8::try_from(n % 251).unwrap());
                        assert!(block.addr().is_multiple_of(layout.align()));
                        if MEMORY.has(block) {
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
                        let size = 1 + next(6000);
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

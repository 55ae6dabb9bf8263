//! A writable stretch of a file in memory: one writer above the published mark, any number of
//! readers below it. The only `unsafe` of the store.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memmap2::MmapRaw;

use crate::disk::DiskResult;

/// Where the bytes lie.
enum Memory {
    /// Pages of the file itself.
    Mapped(MmapRaw),
    /// A buffer of the simulated disk; owned through the pointer, freed when dropped.
    Heap { start: *mut u8, len: usize },
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Heap { start, len } = *self {
            // SAFETY: `start` and `len` came from `Box::into_raw` of a slice of this length in
            // `WindowWriter::on_heap` and are freed only here.
            drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, len)) });
        }
    }
}

/// The shared half: readers hold it.
pub struct Window {
    memory: Memory,
    start: *mut u8,
    len: usize,
    /// Bytes before this are written and never change again.
    published: AtomicUsize,
    /// Nobody writes through it any more; another window may lie over the same stretch.
    retired: AtomicBool,
}

// SAFETY: the memory behind `start` is valid for `len` bytes as long as `memory` lives, which is
// as long as the `Window`. Bytes below `published` are never written again, bytes above are
// touched only by the one `WindowWriter`; `published` is stored with release after the bytes and
// loaded with acquire before them, so that no two threads race on a byte.
unsafe impl Send for Window {}
// SAFETY: as for `Send`.
unsafe impl Sync for Window {}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("len", &self.len)
            .field("published", &self.published.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// Shared access to what is published.
pub type WindowReader = Arc<Window>;

impl Window {
    /// Bytes written so far.
    pub fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// Bytes the window covers.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of what is published; `None` if it reaches beyond.
    pub fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        if range.start > range.end || range.end > self.published() {
            return None;
        }
        // SAFETY: `range` lies below `published`, which never exceeds `len`: the bytes are valid
        // for reads, initialised, and no writer touches them again while `self` is borrowed.
        Some(unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) })
    }

    /// Its writer is gone, and another window over the same stretch may be made, whose writer
    /// changes only bytes that no reader of this one ever held.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Reads all pages in for writing ahead of need. Best effort.
    pub fn populate(&self) {
        #[cfg(target_os = "linux")]
        if let Memory::Mapped(map) = &self.memory {
            // Kernels before 5.14 do not know it; the faults then come with the writes.
            let _ = map.advise(memmap2::Advice::PopulateWrite);
        }
    }
}

/// A part of a window as an owner of bytes, for buffers that are sent without a copy.
#[derive(Debug)]
pub(crate) struct WindowSlice {
    window: WindowReader,
    range: Range<usize>,
}

impl WindowSlice {
    /// `None` if `range` is not published.
    pub(crate) fn new(window: &WindowReader, range: Range<usize>) -> Option<Self> {
        window.bytes(range.clone())?;
        Some(Self { window: Arc::clone(window), range })
    }
}

impl AsRef<[u8]> for WindowSlice {
    fn as_ref(&self) -> &[u8] {
        // The range was published when this was made, and stays so.
        self.window.bytes(self.range.clone()).unwrap_or_default()
    }
}

/// Called with every write: position in the window and bytes.
pub(crate) type WriteHook = Box<dyn Fn(usize, &[u8]) -> DiskResult<()> + Send>;

/// The writing half; there is one per window.
pub struct WindowWriter {
    window: WindowReader,
    hook: Option<WriteHook>,
    /// What the hook writes shows in the window by itself.
    beside: bool,
}

impl fmt::Debug for WindowWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowWriter").field("window", &self.window).finish_non_exhaustive()
    }
}

impl WindowWriter {
    /// Over mapped pages of a file.
    ///
    /// The file must stay as long as it is now, or the process dies of SIGBUS at a touch; and
    /// nobody may write the mapped stretch by another way, or readers see bytes change.
    pub(crate) fn mapped(map: MmapRaw, published: usize) -> Self {
        let (start, len) = (map.as_mut_ptr(), map.len());
        Self::new(Memory::Mapped(map), start, len, published, None)
    }

    /// Over pages of a file that are mapped for reading; `write` writes to the file.
    ///
    /// As with [`mapped`](Self::mapped), and `write` must write to the stretch that is mapped.
    pub(crate) fn beside_map(map: MmapRaw, published: usize, write: WriteHook) -> Self {
        let (start, len) = (map.as_mut_ptr(), map.len());
        let writer = Self::new(Memory::Mapped(map), start, len, published, Some(write));
        Self { beside: true, ..writer }
    }

    /// Over a buffer in memory; `hook` sees every write.
    pub(crate) fn on_heap(content: Box<[u8]>, published: usize, hook: WriteHook) -> Self {
        let len = content.len();
        let start = Box::into_raw(content).cast::<u8>();
        Self::new(Memory::Heap { start, len }, start, len, published, Some(hook))
    }

    fn new(
        memory: Memory,
        start: *mut u8,
        len: usize,
        published: usize,
        hook: Option<WriteHook>,
    ) -> Self {
        assert!(published <= len, "{published} bytes published of a window of {len}");
        let published = AtomicUsize::new(published);
        let retired = AtomicBool::new(false);
        let window = Arc::new(Window { memory, start, len, published, retired });
        Self { window, hook, beside: false }
    }

    pub fn reader(&self) -> &WindowReader {
        &self.window
    }

    /// Whether each write is a call.
    pub fn writes_by_call(&self) -> bool {
        self.beside
    }

    /// Brings `bytes` to `at`. An error is the disk's; what has come there is unknown then.
    ///
    /// # Panics
    /// If that would touch published bytes or lie outside the window: going on would show
    /// readers bytes that change.
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> DiskResult<()> {
        let end = at.checked_add(bytes.len()).expect("positions fit memory");
        assert!(
            at >= self.window.published.load(Ordering::Relaxed) && end <= self.window.len,
            "write of {at}..{end} into {:?}",
            self.window
        );
        if !self.beside {
            // SAFETY: the destination lies within the window and above `published`, where only
            // this writer, borrowed mutably, may touch; it cannot overlap `bytes`, since no
            // reference to bytes above `published` is ever given out. The pages may be written:
            // `beside` is set where they are mapped for reading alone, and never elsewhere.
            unsafe {
                let to = self.window.start.add(at);
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            }
        }
        self.hook.as_ref().map_or(Ok(()), |hook| hook(at, bytes))
    }

    /// Lets readers see everything before `upto`.
    ///
    /// # Panics
    /// If that would take back what is published or exceed the window.
    pub fn publish(&mut self, upto: usize) {
        let published = self.window.published.load(Ordering::Relaxed);
        assert!(upto >= published && upto <= self.window.len, "{upto} of {:?}", self.window);
        self.window.published.store(upto, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn window(published: usize) -> WindowWriter {
        WindowWriter::on_heap(vec![0; 16].into(), published, Box::new(|_, _| Ok(())))
    }

    #[test]
    fn readers_see_only_what_is_published() {
        let mut writer = window(0);
        let reader = Arc::clone(writer.reader());
        writer.write(0, b"abcd").expect("in memory");
        assert_eq!(reader.bytes(0..4), None);
        writer.publish(4);
        assert_eq!(reader.bytes(0..4), Some(&b"abcd"[..]));
        assert_eq!(reader.bytes(0..5), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps a file")]
    fn what_a_call_writes_shows_to_readers_once_it_is_published() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(65_536).expect("space");
        let map = memmap2::MmapOptions::new().map_raw_read_only(&file).expect("mapped");
        let writes = file.try_clone().expect("another handle");
        let hook = move |at: usize, bytes: &[u8]| {
            if at >= 100 {
                let cause = std::io::Error::other("full");
                return Err(crate::DiskError::new("write", std::path::Path::new("log"), cause));
            }
            writes.write_all_at(bytes, at as u64).expect("space");
            Ok(())
        };
        let mut writer = WindowWriter::beside_map(map, 2, Box::new(hook));
        assert!(writer.writes_by_call());
        writer.write(2, b"abc").expect("written");
        assert_eq!(writer.reader().bytes(2..5), None);
        writer.publish(5);
        assert_eq!(writer.reader().bytes(2..5), Some(&b"abc"[..]));
        assert!(writer.write(100, b"x").is_err());
        let mut head = [1; 6];
        file.read_exact_at(&mut head, 0).expect("readable");
        assert_eq!(&head, b"\0\0abc\0");
    }

    #[test]
    fn a_slice_outlives_its_writer() {
        let mut writer = window(0);
        writer.write(0, b"abcd").expect("in memory");
        writer.publish(4);
        let slice = WindowSlice::new(writer.reader(), 1..3).expect("published");
        drop(writer);
        assert_eq!(slice.as_ref(), b"bc");
    }

    #[test]
    #[should_panic(expected = "write of 3..5")]
    fn published_bytes_cannot_be_written_again() {
        let _ = window(4).write(3, b"xx");
    }

    #[test]
    #[should_panic(expected = "write of 15..17")]
    fn a_write_beyond_the_window_is_refused() {
        let _ = window(0).write(15, b"xx");
    }

    #[test]
    fn every_write_reaches_the_hook() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hook = {
            let seen = Arc::clone(&seen);
            Box::new(move |at: usize, bytes: &[u8]| {
                seen.lock().expect("no panic").push((at, bytes.to_vec()));
                Ok(())
            })
        };
        let mut writer = WindowWriter::on_heap(vec![0; 16].into(), 2, hook);
        writer.write(5, b"abc").expect("the hook says so");
        assert_eq!(*seen.lock().expect("no panic"), [(5, b"abc".to_vec())]);
    }
}

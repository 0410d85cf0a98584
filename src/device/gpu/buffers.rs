//! Buffers by size class, kept for the next chunk.

use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device};

/// What every pooled buffer can be used for: input, output and table.
const USAGES: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);

/// Free buffers, by size class.
#[derive(Debug)]
pub(super) struct BufferPool {
    free: Vec<Buffer>,
    free_bytes: u64,
    keep_bytes: u64,
    max_bytes: u64,
}

impl BufferPool {
    /// A pool that holds on to `keep_bytes` of free buffers at most, none of them larger than `max_bytes`.
    pub fn new(keep_bytes: u64, max_bytes: u64) -> Self {
        Self { free: Vec::new(), free_bytes: 0, keep_bytes, max_bytes }
    }

    /// A storage buffer of at least `bytes`, with any content. A failure shows in the caller's error scope.
    pub fn take(&mut self, device: &Device, bytes: u64) -> Buffer {
        let size = size_class(bytes, self.max_bytes);
        if let Some(found) = self.free.iter().position(|buffer| buffer.size() == size) {
            self.free_bytes -= size;
            return self.free.swap_remove(found);
        }
        device.create_buffer(&BufferDescriptor { label: None, size, usage: USAGES, mapped_at_creation: false })
    }

    /// Takes a buffer back, once everything that uses it has been submitted.
    pub fn give(&mut self, buffer: Buffer) {
        if self.free_bytes + buffer.size() <= self.keep_bytes {
            self.free_bytes += buffer.size();
            self.free.push(buffer);
        }
    }

    /// Frees what is free; says whether there was anything.
    pub fn clear(&mut self) -> bool {
        self.free_bytes = 0;
        let had = !self.free.is_empty();
        self.free.clear();
        had
    }
}

/// The size of the buffer that serves `bytes`: four classes an octave, multiples of 256.
pub(super) fn size_class(bytes: u64, max_bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 8).max(256);
    // A request past the largest buffer is left as it is: wgpu refuses it by name.
    bytes.next_multiple_of(step).min(max_bytes).max(bytes.next_multiple_of(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_request_and_wastes_a_quarter_at_most() {
        const MAX: u64 = 1 << 30;
        for bytes in (0..5000).chain([65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, (128 << 20) - 12, 128 << 20]) {
            let size = size_class(bytes, MAX);
            assert!(size >= bytes && size.is_multiple_of(4), "{bytes} -> {size}");
            assert!(size <= 512 || size <= bytes + bytes / 4 + 256, "{bytes} -> {size}");
            assert_eq!(size_class(size, MAX), size, "a class is its own class");
        }
        assert_eq!(size_class(1000, 1000), 1000);
        assert_eq!(size_class(1004, 1000), 1004, "too large for the device: not made smaller in silence");
    }
}

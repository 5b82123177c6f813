//! Memory that the allocator keeps for later.
#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "mallopt of the C library"))]

/// Has the kernel take back every large block as soon as it is freed. glibc else gets used to large
/// blocks and keeps them, for each thread that had some; other allocators need no such call.
pub fn keep_no_large_blocks() {
    #[cfg(target_env = "gnu")]
    {
        // What it begins with; once it is set, it no longer grows with what is freed.
        const LARGE_BYTES: i32 = 128 << 10;
        // SAFETY: takes two numbers and no memory. On failure all stays as it was, which only
        // costs memory.
        unsafe {
            nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        }
    }
}

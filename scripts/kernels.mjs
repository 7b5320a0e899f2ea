// The WebAssembly kernels: which package, which file in its assembly/ (folders kept), and where its constants begin in
// memory, bytes. Bases ascend, parts don't overlap, and the last one ends at 1 MiB, where the arena begins:
// chunker from 1 KiB, compression and hashes of transform from 64 KiB, its ciphers from 192 KiB.
export const kernels = [
  { package: 'chunker', kernel: 'blocks', base: 1024 },
  { package: 'chunker', kernel: 'gear', base: 32768 },
  { package: 'transform', kernel: 'blake3', base: 64 * 1024 },
  { package: 'transform', kernel: 'lz4', base: 96 * 1024 },
]

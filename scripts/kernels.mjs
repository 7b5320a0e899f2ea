// The WebAssembly kernels: which package, which file in its assembly/ (folders kept), and where its constants begin in
// memory, bytes. Bases ascend, parts don't overlap, and the last one ends at 1 MiB, where the arena begins:
// chunker from 1 KiB, compression and hashes of transform from 64 KiB, its ciphers from 192 KiB.
export const kernels = [
  { package: 'chunker', kernel: 'blocks', base: 1024 },
  { package: 'chunker', kernel: 'gear', base: 32768 },
  { package: 'transform', kernel: 'blake3', base: 64 * 1024 },
  { package: 'transform', kernel: 'lz4', base: 96 * 1024 },
  { package: 'transform', kernel: 'ciphers/aes', base: 192 * 1024 },
  { package: 'transform', kernel: 'ciphers/anubis', base: 208 * 1024 },
  { package: 'transform', kernel: 'ciphers/aria', base: 224 * 1024 },
  { package: 'transform', kernel: 'ciphers/camellia', base: 240 * 1024 },
  { package: 'transform', kernel: 'ciphers/cast6', base: 264 * 1024 },
  { package: 'transform', kernel: 'ciphers/gf128', base: 272 * 1024 },
  { package: 'transform', kernel: 'ciphers/kalyna', base: 280 * 1024 },
  { package: 'transform', kernel: 'ciphers/kuznyechik', base: 328 * 1024 },
  { package: 'transform', kernel: 'ciphers/mars', base: 472 * 1024 },
  { package: 'transform', kernel: 'ciphers/serpent', base: 480 * 1024 },
  { package: 'transform', kernel: 'ciphers/simon', base: 488 * 1024 },
  { package: 'transform', kernel: 'ciphers/sm4', base: 496 * 1024 },
  { package: 'transform', kernel: 'ciphers/speck', base: 504 * 1024 },
  { package: 'transform', kernel: 'ciphers/threefish', base: 512 * 1024 },
  { package: 'transform', kernel: 'ciphers/twofish', base: 520 * 1024 },
]

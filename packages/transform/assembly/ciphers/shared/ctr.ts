// Counter mode over any block kernel: the counter is one full block, a big-endian integer that wraps.

/** A work area: the counter block first (up to 1024 bits), then room for the key stream of one batch. */
const COUNTER_BYTES: u32 = 128
const BATCH_BYTES: u32 = 4096

// @ts-ignore: decorator
@inline
function reverseBytes(value: v128): v128 {
  // A swizzle by a constant is one instruction where V8 spells a general shuffle out.
  return i8x16.swizzle(value, i8x16(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0))
}

/** Adds one to a big-endian integer of `length` bytes: the rare carry out of the lowest 128 bits. */
function carry(pointer: usize, length: u32): void {
  for (let at = <i32>length - 1; at >= 0; at--) {
    const sum = load<u8>(pointer + at) + 1
    store<u8>(pointer + at, sum)
    if (sum !== 0) return
  }
}

/** Writes `count` blocks counter, counter + 1, ... and leaves the counter at the next one. */
export function fillCounters(counter: usize, target: usize, blockBytes: u32, count: u32): void {
  const head = blockBytes - 16
  let tail = reverseBytes(v128.load(counter + head))
  for (let i: u32 = 0; i < count; i++) {
    for (let at: u32 = 0; at < head; at += 16) v128.store(target + at, v128.load(counter + at))
    v128.store(target + head, reverseBytes(tail))
    target += blockBytes
    tail = i64x2.add(tail, i64x2(1, 0))
    if (i64x2.extract_lane(tail, 0) !== 0) continue
    tail = i64x2.add(tail, i64x2(0, 1))
    if (i64x2.extract_lane(tail, 1) === 0) carry(counter, head)
  }
  v128.store(counter + head, reverseBytes(tail))
}

/** target ^= source, whole vectors. */
export function xorInto(target: usize, source: usize, length: u32): void {
  const end = target + length
  for (; target < end; target += 16, source += 16) v128.store(target, v128.xor(v128.load(target), v128.load(source)))
}

/**
 * XORs the key stream of `blocks` blocks into `data` and leaves the counter at the next one. Counters are made and
 * encrypted a batch at a time in the work area, which stays in the first-level cache.
 */
export function ctrOver(
  key: usize,
  work: usize,
  data: usize,
  blocks: u32,
  blockBytes: u32,
  encrypt: (key: usize, source: usize, target: usize, blocks: u32) => void,
): void {
  const stream = work + COUNTER_BYTES
  while (blocks > 0) {
    const count = min(blocks, BATCH_BYTES / blockBytes)
    fillCounters(work, stream, blockBytes, count)
    encrypt(key, stream, stream, count)
    xorInto(data, stream, count * blockBytes)
    data += count * blockBytes
    blocks -= count
  }
}

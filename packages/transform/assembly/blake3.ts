// BLAKE3 (the BLAKE3 paper, version 20211102): the hash, keyed hash and derive_key modes, and output of any length.
// Eight chunks or parents are hashed at a time, one to a 32-bit lane of a vector (section 5.3).
//
// A hasher is STATE_BYTES of memory, made by `init`. As only at the end it is known which node is the root (section 5.1.2), it
// keeps back the first chunk until more comes, and does not merge the last two subtrees before it must.

const CHUNK_BYTES: usize = 1024;
const BLOCK_BYTES: usize = 64;
const CV_BYTES: usize = 32;

// Flags, table 3.
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;

// Offsets in a hasher's state.
const KEY: usize = 0; //            8 u32  the key words, or the initial value
const FLAGS: usize = 32; //         u32    flags of the mode
const TAIL_LENGTH: usize = 36; //   u32    bytes in TAIL: of a chunk that is not whole, or of the first
const CHUNKS: usize = 40; //        u64    chunks hashed so far
const DEPTH: usize = 48; //         u32    subtrees on the stack
const STACK: usize = 64; //         55 chaining values of complete subtrees, the largest first
const TAIL: usize = STACK + 55 * CV_BYTES;
const WORK: usize = TAIL + CHUNK_BYTES; // 16 chaining values
const NODE: usize = WORK + 16 * CV_BYTES; // one block and one chaining value
const OUTPUT: usize = NODE + BLOCK_BYTES + CV_BYTES; // one block of output
const LANES: usize = OUTPUT + BLOCK_BYTES; // what the lanes take: 16 message vectors of four inputs, and of four more
const COUNTERS: usize = 512; // from LANES: low and high words of the chunk counters, for each four
const LANES_BYTES: usize = COUNTERS + 64;

/** Bytes of memory a hasher takes. */
export const STATE_BYTES: usize = LANES + LANES_BYTES;

/**
 * Which message word each step of each round takes: the permutation of table 2, applied over and over. Words are counted in
 * 16 bytes, as they lie in vectors of lanes.
 */
const SCHEDULE = memory.data<u16>([
  0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240,
  32, 96, 48, 160, 112, 0, 64, 208, 16, 176, 192, 80, 144, 224, 240, 128,
  48, 64, 160, 192, 208, 32, 112, 224, 96, 80, 144, 0, 176, 240, 128, 16,
  160, 112, 192, 144, 224, 48, 208, 240, 64, 0, 176, 32, 80, 128, 16, 96,
  192, 208, 144, 176, 240, 160, 224, 128, 112, 32, 80, 48, 0, 16, 96, 64,
  144, 224, 176, 80, 128, 192, 240, 16, 208, 48, 0, 160, 32, 96, 64, 112,
  176, 240, 80, 0, 16, 144, 128, 96, 224, 160, 32, 192, 48, 64, 112, 208,
], 16);
const ROW_BYTES: usize = 32;

/** Starts a hasher with the 32 key bytes at `key` (or the initial value) and the flags of its mode. */
export function init(state: usize, key: usize, flags: u32): void {
  memory.copy(state + KEY, key, CV_BYTES);
  store<u32>(state, flags, FLAGS);
  store<u32>(state, 0, TAIL_LENGTH);
  store<u64>(state, 0, CHUNKS);
  store<u32>(state, 0, DEPTH);
}

/** Takes in `length` bytes. */
export function update(state: usize, input: usize, length: usize): void {
  let at = input;
  const end = input + length;
  while (at < end) {
    const tailLength = <usize>load<u32>(state, TAIL_LENGTH);
    if (tailLength == CHUNK_BYTES) {
      pushChunk(state, state + TAIL);
      store<u32>(state, 0, TAIL_LENGTH);
    } else if (tailLength == 0 && end - at >= CHUNK_BYTES && (end - at > CHUNK_BYTES || load<u64>(state, CHUNKS) > 0)) {
      at = pushWhole(state, at, end);
    } else {
      const take = min(CHUNK_BYTES - tailLength, end - at);
      memory.copy(state + TAIL + tailLength, at, take);
      store<u32>(state, <u32>(tailLength + take), TAIL_LENGTH);
      at += take;
    }
  }
}

/** Writes `length` bytes of the hash of what was taken in; more may be taken in afterwards. */
export function finish(state: usize, out: usize, length: usize): void {
  const node = state + NODE;
  const nodeCv = node + BLOCK_BYTES;
  const modeFlags = load<u32>(state, FLAGS);
  const tailLength = <usize>load<u32>(state, TAIL_LENGTH);
  let counter = load<u64>(state, CHUNKS);
  let flags = modeFlags | PARENT;
  let blockLength = <u32>BLOCK_BYTES;
  if (tailLength > 0) mergeEqual(state);
  let depth = load<u32>(state, DEPTH);
  memory.copy(nodeCv, state + KEY, CV_BYTES);

  if (tailLength > 0 || counter == 0) {
    // The last chunk, all but its last block.
    const lastBlock: usize = tailLength == 0 ? <usize>0 : (tailLength - 1) & ~(BLOCK_BYTES - 1);
    for (let at: usize = 0; at < lastBlock; at += BLOCK_BYTES) {
      const first = at == 0 ? CHUNK_START : 0;
      compress(nodeCv, state + TAIL + at, <u32>BLOCK_BYTES, counter, modeFlags | first, nodeCv, false);
    }
    flags = modeFlags | CHUNK_END | (lastBlock == 0 ? CHUNK_START : 0);
    blockLength = <u32>(tailLength - lastBlock);
    memory.fill(node, 0, BLOCK_BYTES);
    memory.copy(node, state + TAIL + lastBlock, blockLength);
  } else {
    // Whole chunks only: the last two subtrees are still apart.
    depth -= 2;
    counter = 0;
    memory.copy(node, state + STACK + <usize>depth * CV_BYTES, BLOCK_BYTES);
  }

  // Its parents, from the smallest subtree to the whole tree.
  for (; depth > 0; depth--) {
    compress(nodeCv, node, blockLength, counter, flags, node + CV_BYTES, false);
    memory.copy(node, state + STACK + <usize>(depth - 1) * CV_BYTES, CV_BYTES);
    memory.copy(nodeCv, state + KEY, CV_BYTES);
    flags = modeFlags | PARENT;
    blockLength = <u32>BLOCK_BYTES;
    counter = 0;
  }

  // The root's output, a block at a time (section 2.6).
  const output = state + OUTPUT;
  let done: usize = 0;
  for (let block: u64 = 0; done < length; block++) {
    compress(nodeCv, node, blockLength, block, flags | ROOT, output, true);
    const take = min(BLOCK_BYTES, length - done);
    memory.copy(out + done, output, take);
    done += take;
  }
}

/** Hashes whole chunks of [at, end), as many as go together. Returns where the rest begins. */
function pushWhole(state: usize, at: usize, end: usize): usize {
  const chunks = load<u64>(state, CHUNKS);
  const flags = load<u32>(state, FLAGS);
  const key = state + KEY;
  const cvs = state + WORK;
  const lanes = state + LANES;
  if ((chunks & 15) == 0 && end - at >= 16 * CHUNK_BYTES) {
    hashEight(lanes, at, CHUNK_BYTES, 4 * CHUNK_BYTES, 16, key, chunks, 1, flags, CHUNK_START, CHUNK_END, cvs);
    hashEight(lanes, at + 8 * CHUNK_BYTES, CHUNK_BYTES, 4 * CHUNK_BYTES, 16, key, chunks + 8, 1, flags, CHUNK_START, CHUNK_END, cvs + 256);
    // Parents, in place: all inputs are read before the first result is written.
    hashEight(lanes, cvs, BLOCK_BYTES, 4 * BLOCK_BYTES, 1, key, 0, 0, flags | PARENT, 0, 0, cvs);
    reduceEight(state, cvs);
    pushPair(state, cvs, 3);
    return at + 16 * CHUNK_BYTES;
  }
  if ((chunks & 7) == 0 && end - at >= 8 * CHUNK_BYTES) {
    hashEight(lanes, at, CHUNK_BYTES, 4 * CHUNK_BYTES, 16, key, chunks, 1, flags, CHUNK_START, CHUNK_END, cvs);
    reduceEight(state, cvs);
    pushPair(state, cvs, 2);
    return at + 8 * CHUNK_BYTES;
  }
  if ((chunks & 3) == 0 && end - at >= 4 * CHUNK_BYTES) {
    // Half of the lanes do the same work twice, which still beats one chunk after another.
    hashEight(lanes, at, CHUNK_BYTES, 0, 16, key, chunks, 1, flags, CHUNK_START, CHUNK_END, cvs);
    parent(state, cvs, cvs);
    parent(state, cvs + BLOCK_BYTES, cvs + CV_BYTES);
    pushPair(state, cvs, 1);
    return at + 4 * CHUNK_BYTES;
  }
  pushChunk(state, at);
  return at + CHUNK_BYTES;
}

/** Puts the two grandparents of the eight chaining values at `cvs` in place of the first two. */
function reduceEight(state: usize, cvs: usize): void {
  for (let i: usize = 0; i < 4; i++) parent(state, cvs + i * BLOCK_BYTES, cvs + i * CV_BYTES);
  parent(state, cvs, cvs);
  parent(state, cvs + BLOCK_BYTES, cvs + CV_BYTES);
}

function pushChunk(state: usize, chunk: usize): void {
  const counter = load<u64>(state, CHUNKS);
  const flags = load<u32>(state, FLAGS);
  const cv = state + WORK;
  memory.copy(cv, state + KEY, CV_BYTES);
  for (let at: usize = 0; at < CHUNK_BYTES; at += BLOCK_BYTES) {
    const edge = at == 0 ? CHUNK_START : at == CHUNK_BYTES - BLOCK_BYTES ? CHUNK_END : 0;
    compress(cv, chunk + at, <u32>BLOCK_BYTES, counter, flags | edge, cv, false);
  }
  push(state, cv, 0);
}

/** Adds two neighbouring subtrees of 2^level chunks each. They stay apart, as their parent may be the root. */
@inline
function pushPair(state: usize, cvs: usize, level: u32): void {
  push(state, cvs, level);
  push(state, cvs + CV_BYTES, level);
}

/** Adds the subtree of 2^level chunks whose chaining value is at `cv`. */
function push(state: usize, cv: usize, level: u32): void {
  mergeEqual(state);
  const depth = load<u32>(state, DEPTH);
  memory.copy(state + STACK + <usize>depth * CV_BYTES, cv, CV_BYTES);
  store<u32>(state, depth + 1, DEPTH);
  store<u64>(state, load<u64>(state, CHUNKS) + (<u64>1 << level), CHUNKS);
}

/**
 * Merges subtrees of equal size until there is one for each bit of the number of chunks (section 5.1.2). This is put off until
 * more comes, because the last merge of all is the root's; so `finish` finds two subtrees apart when no bytes are kept back.
 */
function mergeEqual(state: usize): void {
  let depth = <usize>load<u32>(state, DEPTH);
  const least = <usize>popcnt(load<u64>(state, CHUNKS));
  for (; depth > least; depth--) {
    const pair = state + STACK + (depth - 2) * CV_BYTES;
    parent(state, pair, pair);
  }
  store<u32>(state, <u32>depth, DEPTH);
}

/** The chaining value of the parent of the two at `pair`. `out` may be `pair`. */
@inline
function parent(state: usize, pair: usize, out: usize): void {
  compress(state + KEY, pair, <u32>BLOCK_BYTES, 0, load<u32>(state, FLAGS) | PARENT, out, false);
}

@inline
function word(block: usize, row: usize, step: usize): u32 {
  return load<u32>(block + (<usize>load<u16>(row + (step << 1)) >> 2));
}

/** The compression function (section 2.2). Writes 32 bytes, or 64 when `whole`; `out` may be `cv` or `block`. */
function compress(cv: usize, block: usize, length: u32, counter: u64, flags: u32, out: usize, whole: bool): void {
  const c0 = load<u32>(cv), c1 = load<u32>(cv, 4), c2 = load<u32>(cv, 8), c3 = load<u32>(cv, 12);
  const c4 = load<u32>(cv, 16), c5 = load<u32>(cv, 20), c6 = load<u32>(cv, 24), c7 = load<u32>(cv, 28);
  let s0 = c0, s1 = c1, s2 = c2, s3 = c3, s4 = c4, s5 = c5, s6 = c6, s7 = c7;
  let s8: u32 = 0x6a09e667, s9: u32 = 0xbb67ae85, s10: u32 = 0x3c6ef372, s11: u32 = 0xa54ff53a;
  let s12 = <u32>counter, s13 = <u32>(counter >> 32), s14 = length, s15 = flags;
  const end = SCHEDULE + 7 * ROW_BYTES;
  for (let m = SCHEDULE; m < end; m += ROW_BYTES) {
    s0 = s0 + s4 + word(block, m, 0); s12 = rotr<u32>(s12 ^ s0, 16); s8 = s8 + s12; s4 = rotr<u32>(s4 ^ s8, 12);
    s0 = s0 + s4 + word(block, m, 1); s12 = rotr<u32>(s12 ^ s0, 8); s8 = s8 + s12; s4 = rotr<u32>(s4 ^ s8, 7);
    s1 = s1 + s5 + word(block, m, 2); s13 = rotr<u32>(s13 ^ s1, 16); s9 = s9 + s13; s5 = rotr<u32>(s5 ^ s9, 12);
    s1 = s1 + s5 + word(block, m, 3); s13 = rotr<u32>(s13 ^ s1, 8); s9 = s9 + s13; s5 = rotr<u32>(s5 ^ s9, 7);
    s2 = s2 + s6 + word(block, m, 4); s14 = rotr<u32>(s14 ^ s2, 16); s10 = s10 + s14; s6 = rotr<u32>(s6 ^ s10, 12);
    s2 = s2 + s6 + word(block, m, 5); s14 = rotr<u32>(s14 ^ s2, 8); s10 = s10 + s14; s6 = rotr<u32>(s6 ^ s10, 7);
    s3 = s3 + s7 + word(block, m, 6); s15 = rotr<u32>(s15 ^ s3, 16); s11 = s11 + s15; s7 = rotr<u32>(s7 ^ s11, 12);
    s3 = s3 + s7 + word(block, m, 7); s15 = rotr<u32>(s15 ^ s3, 8); s11 = s11 + s15; s7 = rotr<u32>(s7 ^ s11, 7);
    s0 = s0 + s5 + word(block, m, 8); s15 = rotr<u32>(s15 ^ s0, 16); s10 = s10 + s15; s5 = rotr<u32>(s5 ^ s10, 12);
    s0 = s0 + s5 + word(block, m, 9); s15 = rotr<u32>(s15 ^ s0, 8); s10 = s10 + s15; s5 = rotr<u32>(s5 ^ s10, 7);
    s1 = s1 + s6 + word(block, m, 10); s12 = rotr<u32>(s12 ^ s1, 16); s11 = s11 + s12; s6 = rotr<u32>(s6 ^ s11, 12);
    s1 = s1 + s6 + word(block, m, 11); s12 = rotr<u32>(s12 ^ s1, 8); s11 = s11 + s12; s6 = rotr<u32>(s6 ^ s11, 7);
    s2 = s2 + s7 + word(block, m, 12); s13 = rotr<u32>(s13 ^ s2, 16); s8 = s8 + s13; s7 = rotr<u32>(s7 ^ s8, 12);
    s2 = s2 + s7 + word(block, m, 13); s13 = rotr<u32>(s13 ^ s2, 8); s8 = s8 + s13; s7 = rotr<u32>(s7 ^ s8, 7);
    s3 = s3 + s4 + word(block, m, 14); s14 = rotr<u32>(s14 ^ s3, 16); s9 = s9 + s14; s4 = rotr<u32>(s4 ^ s9, 12);
    s3 = s3 + s4 + word(block, m, 15); s14 = rotr<u32>(s14 ^ s3, 8); s9 = s9 + s14; s4 = rotr<u32>(s4 ^ s9, 7);
  }
  store<u32>(out, s0 ^ s8);
  store<u32>(out, s1 ^ s9, 4);
  store<u32>(out, s2 ^ s10, 8);
  store<u32>(out, s3 ^ s11, 12);
  store<u32>(out, s4 ^ s12, 16);
  store<u32>(out, s5 ^ s13, 20);
  store<u32>(out, s6 ^ s14, 24);
  store<u32>(out, s7 ^ s15, 28);
  if (!whole) return;
  store<u32>(out, s8 ^ c0, 32);
  store<u32>(out, s9 ^ c1, 36);
  store<u32>(out, s10 ^ c2, 40);
  store<u32>(out, s11 ^ c3, 44);
  store<u32>(out, s12 ^ c4, 48);
  store<u32>(out, s13 ^ c5, 52);
  store<u32>(out, s14 ^ c6, 56);
  store<u32>(out, s15 ^ c7, 60);
}

@inline
function add(a: v128, b: v128): v128 {
  return i32x4.add(a, b);
}
/** a + b + m: b comes last, as it is the one to wait for. */
@inline
function mix(a: v128, b: v128, m: v128): v128 {
  return i32x4.add(i32x4.add(a, m), b);
}
// (a ^ b) rotated right, for each 32-bit word. Shifts and a shuffle of halves are single instructions, where a byte
// shuffle or a swizzle makes the engine load its mask first, each time.
@inline
function rot16(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.shuffle<u16>(x, x, 1, 0, 3, 2, 5, 4, 7, 6);
}
@inline
function rot12(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}
@inline
function rot8(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shr_u(x, 8), i32x4.shl(x, 24));
}
@inline
function rot7(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}
@inline
function low32(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 0, 4, 1, 5);
}
@inline
function high32(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
}
@inline
function low64(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 0, 2);
}
@inline
function high64(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 1, 3);
}

/** The message of one block of four inputs, `stride` bytes apart, as 16 vectors with one lane for each. */
@inline
function loadMessages(at: usize, stride: usize, out: usize): void {
  for (let i: usize = 0; i < 64; i += 16) {
    const from = at + i;
    transpose(v128.load(from), v128.load(from + stride), v128.load(from + 2 * stride), v128.load(from + 3 * stride), out + (i << 2), 16);
  }
}

/** Writes the 4x4 words of four vectors, rows and columns exchanged, `stride` bytes apart. */
@inline
function transpose(a: v128, b: v128, c: v128, d: v128, out: usize, stride: usize): void {
  const x0 = low32(a, b), x1 = high32(a, b), x2 = low32(c, d), x3 = high32(c, d);
  v128.store(out, low64(x0, x2));
  v128.store(out + stride, high64(x0, x2));
  v128.store(out + 2 * stride, low64(x1, x3));
  v128.store(out + 3 * stride, high64(x1, x3));
}

/**
 * The chaining values, 32 bytes each, of eight inputs of `blocks` blocks each: four that lie `stride` bytes apart, and four
 * more that begin `gap` bytes after the first. Input i has the counter `counter + i * step`. The two sets of lanes take turns
 * by half rounds: one fills the time in which the other waits for its results.
 */
function hashEight(lanes: usize, input: usize, stride: usize, gap: usize, blocks: usize, key: usize, counter: u64, step: u64, flags: u32, first: u32, last: u32, out: usize): void {
  for (let lane: usize = 0; lane < 8; lane++) {
    const at = lanes + ((lane >> 2) << 5) + ((lane & 3) << 2);
    const count = counter + step * lane;
    store<u32>(at, <u32>count, 512);
    store<u32>(at, <u32>(count >> 32), 528);
  }
  let c0 = v128.load32_splat(key, 0), c1 = v128.load32_splat(key, 4), c2 = v128.load32_splat(key, 8), c3 = v128.load32_splat(key, 12);
  let c4 = v128.load32_splat(key, 16), c5 = v128.load32_splat(key, 20), c6 = v128.load32_splat(key, 24), c7 = v128.load32_splat(key, 28);
  let d0 = v128.load32_splat(key, 0), d1 = v128.load32_splat(key, 4), d2 = v128.load32_splat(key, 8), d3 = v128.load32_splat(key, 12);
  let d4 = v128.load32_splat(key, 16), d5 = v128.load32_splat(key, 20), d6 = v128.load32_splat(key, 24), d7 = v128.load32_splat(key, 28);
  const end = SCHEDULE + 7 * ROW_BYTES;
  for (let block: usize = 0; block < blocks; block++) {
    const blockFlags = flags | (block == 0 ? first : 0) | (block + 1 == blocks ? last : 0);
    const at = input + block * BLOCK_BYTES;
    loadMessages(at, stride, lanes);
    loadMessages(at + gap, stride, lanes + 256);
    let a0 = c0, a1 = c1, a2 = c2, a3 = c3, a4 = c4, a5 = c5, a6 = c6, a7 = c7;
    let a8 = i32x4.splat(0x6a09e667), a9 = i32x4.splat(0xbb67ae85), a10 = i32x4.splat(0x3c6ef372), a11 = i32x4.splat(0xa54ff53a);
    let a12 = v128.load(lanes, 512), a13 = v128.load(lanes, 528), a14 = i32x4.splat(<i32>BLOCK_BYTES), a15 = i32x4.splat(blockFlags);
    let b0 = d0, b1 = d1, b2 = d2, b3 = d3, b4 = d4, b5 = d5, b6 = d6, b7 = d7;
    let b8 = i32x4.splat(0x6a09e667), b9 = i32x4.splat(0xbb67ae85), b10 = i32x4.splat(0x3c6ef372), b11 = i32x4.splat(0xa54ff53a);
    let b12 = v128.load(lanes, 544), b13 = v128.load(lanes, 560), b14 = i32x4.splat(<i32>BLOCK_BYTES), b15 = i32x4.splat(blockFlags);
    for (let row = SCHEDULE; row < end; row += ROW_BYTES) {
      const m0 = lanes + <usize>load<u16>(row), m1 = lanes + <usize>load<u16>(row, 2), m2 = lanes + <usize>load<u16>(row, 4), m3 = lanes + <usize>load<u16>(row, 6);
      const m4 = lanes + <usize>load<u16>(row, 8), m5 = lanes + <usize>load<u16>(row, 10), m6 = lanes + <usize>load<u16>(row, 12), m7 = lanes + <usize>load<u16>(row, 14);
      const m8 = lanes + <usize>load<u16>(row, 16), m9 = lanes + <usize>load<u16>(row, 18), m10 = lanes + <usize>load<u16>(row, 20), m11 = lanes + <usize>load<u16>(row, 22);
      const m12 = lanes + <usize>load<u16>(row, 24), m13 = lanes + <usize>load<u16>(row, 26), m14 = lanes + <usize>load<u16>(row, 28), m15 = lanes + <usize>load<u16>(row, 30);
      a0 = mix(a0, a4, v128.load(m0)); a12 = rot16(a12, a0); a8 = add(a8, a12); a4 = rot12(a4, a8);
      a0 = mix(a0, a4, v128.load(m1)); a12 = rot8(a12, a0); a8 = add(a8, a12); a4 = rot7(a4, a8);
      a1 = mix(a1, a5, v128.load(m2)); a13 = rot16(a13, a1); a9 = add(a9, a13); a5 = rot12(a5, a9);
      a1 = mix(a1, a5, v128.load(m3)); a13 = rot8(a13, a1); a9 = add(a9, a13); a5 = rot7(a5, a9);
      a2 = mix(a2, a6, v128.load(m4)); a14 = rot16(a14, a2); a10 = add(a10, a14); a6 = rot12(a6, a10);
      a2 = mix(a2, a6, v128.load(m5)); a14 = rot8(a14, a2); a10 = add(a10, a14); a6 = rot7(a6, a10);
      a3 = mix(a3, a7, v128.load(m6)); a15 = rot16(a15, a3); a11 = add(a11, a15); a7 = rot12(a7, a11);
      a3 = mix(a3, a7, v128.load(m7)); a15 = rot8(a15, a3); a11 = add(a11, a15); a7 = rot7(a7, a11);
      b0 = mix(b0, b4, v128.load(m0, 256)); b12 = rot16(b12, b0); b8 = add(b8, b12); b4 = rot12(b4, b8);
      b0 = mix(b0, b4, v128.load(m1, 256)); b12 = rot8(b12, b0); b8 = add(b8, b12); b4 = rot7(b4, b8);
      b1 = mix(b1, b5, v128.load(m2, 256)); b13 = rot16(b13, b1); b9 = add(b9, b13); b5 = rot12(b5, b9);
      b1 = mix(b1, b5, v128.load(m3, 256)); b13 = rot8(b13, b1); b9 = add(b9, b13); b5 = rot7(b5, b9);
      b2 = mix(b2, b6, v128.load(m4, 256)); b14 = rot16(b14, b2); b10 = add(b10, b14); b6 = rot12(b6, b10);
      b2 = mix(b2, b6, v128.load(m5, 256)); b14 = rot8(b14, b2); b10 = add(b10, b14); b6 = rot7(b6, b10);
      b3 = mix(b3, b7, v128.load(m6, 256)); b15 = rot16(b15, b3); b11 = add(b11, b15); b7 = rot12(b7, b11);
      b3 = mix(b3, b7, v128.load(m7, 256)); b15 = rot8(b15, b3); b11 = add(b11, b15); b7 = rot7(b7, b11);
      a0 = mix(a0, a5, v128.load(m8)); a15 = rot16(a15, a0); a10 = add(a10, a15); a5 = rot12(a5, a10);
      a0 = mix(a0, a5, v128.load(m9)); a15 = rot8(a15, a0); a10 = add(a10, a15); a5 = rot7(a5, a10);
      a1 = mix(a1, a6, v128.load(m10)); a12 = rot16(a12, a1); a11 = add(a11, a12); a6 = rot12(a6, a11);
      a1 = mix(a1, a6, v128.load(m11)); a12 = rot8(a12, a1); a11 = add(a11, a12); a6 = rot7(a6, a11);
      a2 = mix(a2, a7, v128.load(m12)); a13 = rot16(a13, a2); a8 = add(a8, a13); a7 = rot12(a7, a8);
      a2 = mix(a2, a7, v128.load(m13)); a13 = rot8(a13, a2); a8 = add(a8, a13); a7 = rot7(a7, a8);
      a3 = mix(a3, a4, v128.load(m14)); a14 = rot16(a14, a3); a9 = add(a9, a14); a4 = rot12(a4, a9);
      a3 = mix(a3, a4, v128.load(m15)); a14 = rot8(a14, a3); a9 = add(a9, a14); a4 = rot7(a4, a9);
      b0 = mix(b0, b5, v128.load(m8, 256)); b15 = rot16(b15, b0); b10 = add(b10, b15); b5 = rot12(b5, b10);
      b0 = mix(b0, b5, v128.load(m9, 256)); b15 = rot8(b15, b0); b10 = add(b10, b15); b5 = rot7(b5, b10);
      b1 = mix(b1, b6, v128.load(m10, 256)); b12 = rot16(b12, b1); b11 = add(b11, b12); b6 = rot12(b6, b11);
      b1 = mix(b1, b6, v128.load(m11, 256)); b12 = rot8(b12, b1); b11 = add(b11, b12); b6 = rot7(b6, b11);
      b2 = mix(b2, b7, v128.load(m12, 256)); b13 = rot16(b13, b2); b8 = add(b8, b13); b7 = rot12(b7, b8);
      b2 = mix(b2, b7, v128.load(m13, 256)); b13 = rot8(b13, b2); b8 = add(b8, b13); b7 = rot7(b7, b8);
      b3 = mix(b3, b4, v128.load(m14, 256)); b14 = rot16(b14, b3); b9 = add(b9, b14); b4 = rot12(b4, b9);
      b3 = mix(b3, b4, v128.load(m15, 256)); b14 = rot8(b14, b3); b9 = add(b9, b14); b4 = rot7(b4, b9);
    }
    c0 = v128.xor(a0, a8); c1 = v128.xor(a1, a9); c2 = v128.xor(a2, a10); c3 = v128.xor(a3, a11);
    c4 = v128.xor(a4, a12); c5 = v128.xor(a5, a13); c6 = v128.xor(a6, a14); c7 = v128.xor(a7, a15);
    d0 = v128.xor(b0, b8); d1 = v128.xor(b1, b9); d2 = v128.xor(b2, b10); d3 = v128.xor(b3, b11);
    d4 = v128.xor(b4, b12); d5 = v128.xor(b5, b13); d6 = v128.xor(b6, b14); d7 = v128.xor(b7, b15);
  }
  transpose(c0, c1, c2, c3, out, 32);
  transpose(c4, c5, c6, c7, out + 16, 32);
  transpose(d0, d1, d2, d3, out + 128, 32);
  transpose(d4, d5, d6, d7, out + 144, 32);
}

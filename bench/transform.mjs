// How fast are hashing, compression and sealing, against the native tool of each in the same run?
//   node bench/transform.mjs [--json] [--file PATH] [--mib N] [--rounds N] [--group TEXT]
// Blocks are 128 KiB and are walked over N MiB (default 32), so that they come from memory and not from the cache. The
// file (default: the node executable) fills the compression input. Figures are MB per CPU second, the best of the rounds;
// the rounds of all candidates take turns, so that a busy machine slows them alike. --group measures
// only groups whose names have this text in them. Needs built packages; b3sum and gcc with
// liblz4-dev for the comparisons, which are left out by name where they are missing.
import { execFileSync } from 'node:child_process'
import { createCipheriv, randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Arena, zstdEngines } from '@granary/core'
import * as transform from '@granary/transform'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    file: { type: 'string', default: process.execPath },
    mib: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '5' },
    group: { type: 'string', default: '' },
  },
})
const BLOCK_BYTES = 128 * 1024
const lengthBytes = Number(values.mib) * 2 ** 20
const rounds = Number(values.rounds)
const folder = mkdtempSync(join(tmpdir(), 'granary-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true }))

// Both inputs lie in one arena, where the data path has its blocks.
const arena = new Arena(2 * lengthBytes + 64 * 2 ** 20)
const data = arena.allocate(lengthBytes).bytes
const noise = arena.allocate(lengthBytes).bytes
fill(data, values.file)
for (let at = 0; at < lengthBytes; at += BLOCK_BYTES) noise.set(randomBytes(BLOCK_BYTES), at)

const blocksOf = bytes =>
  Array.from({ length: bytes.length / BLOCK_BYTES }, (_, i) => bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES))

const groups = [
  ...(await hashGroups()),
  ...lz4Groups(),
  zstdGroup('zstd, data', data),
  zstdGroup('zstd, random', noise),
  suiteGroup(),
]
for (const { name, candidates } of groups.filter(group => group.name.includes(values.group))) {
  const best = candidates.map(() => 0)
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run }] of candidates.entries()) best[i] = Math.max(best[i], await run())
  }
  const limit = best[candidates.findIndex(({ isLimit }) => isLimit)]
  if (!values.json) console.log(`\n${name}`)
  for (const [i, { name: candidate, note = '' }] of candidates.entries()) {
    const ratio = limit === undefined ? undefined : best[i] / limit
    const line = { bench: 'transform', group: name, candidate, megabytesPerCpuSecond: Math.round(best[i]), ratio, note }
    if (values.json) console.log(JSON.stringify(line))
    else {
      const ratioText = ratio === undefined ? '' : ratio.toFixed(2)
      console.log(
        `  ${candidate.padEnd(34)}${String(line.megabytesPerCpuSecond).padStart(7)} MB/s ${ratioText.padStart(6)}  ${note}`,
      )
    }
  }
}

/**
 * A candidate that runs in this process: `work` over every block, `passes` times, yielding once per 4 MiB as workers do. Bare, it
 * doesn't yield, and only user time counts.
 */
function here(name, bytes, work, { passes = 1, isBare = false, ...facts } = {}) {
  const blocks = blocksOf(bytes)
  const run = async () => {
    const from = process.cpuUsage()
    for (let pass = 0; pass < passes; pass++) {
      for (const [i, block] of blocks.entries()) {
        work(block, i)
        if (!isBare && i % 32 === 31) await setImmediate()
      }
    }
    const { user, system } = process.cpuUsage(from)
    return (passes * bytes.length) / (isBare ? user : user + system)
  }
  return { name, run, ...facts }
}

/**
 * Twice, under equal conditions: from memory, where b3sum maps its files and hashes the page cache; and in the processor's
 * cache, where it reads into one buffer of 64 KiB. Only user time counts, on both sides: what the kernel does for b3sum, to map
 * and to copy files, is no hashing, and neither is our event loop. What is compared is messages of 128 KiB, each a call with a digest, with files of 32 MiB.
 */
async function hashGroups() {
  const file = join(folder, 'noise')
  writeFileSync(file, noise)
  const files = Array.from({ length: 24 }, () => file)
  const b3sum = options => {
    const command = `TIMEFORMAT='%U'; time b3sum --num-threads 1 ${options} ${files.join(' ')} > /dev/null`
    const seconds = Number(execFileSync('bash', ['-c', `{ ${command}; } 2>&1`], { encoding: 'utf8' }))
    return (files.length * noise.length) / seconds / 1e6
  }
  const isThere = works(() => b3sum(''))
  if (!isThere) missing('b3sum')
  const key = randomBytes(32)
  const native = transform.loadBlake3Native()
  const hasher = native && transform.createKeyedHasher(key, native)
  const wasm = transform.createKeyedHasher(key, transform.createBlake3Wasm(arena))
  const [hot] = blocksOf(noise)
  return [
    { name: 'BLAKE3, 128 KiB messages, from memory', options: '', blockOf: block => block },
    { name: 'BLAKE3, 128 KiB messages, in the cache', options: '--no-mmap', blockOf: () => hot },
  ].map(({ name, options, blockOf }) => {
    const limit = { name: `b3sum, one thread ${options}`, run: async () => b3sum(options), isLimit: true }
    const candidates = isThere ? [limit] : []
    if (hasher)
      candidates.push(
        here('keyed, native', noise, block => hasher.digest(blockOf(block)), { passes: 16, isBare: true }),
      )
    candidates.push(
      here('keyed, WebAssembly, in the arena', noise, block => wasm.digest(blockOf(block)), {
        passes: 4,
        isBare: true,
      }),
    )
    return { name, candidates }
  })
}

function lz4Groups() {
  const program = compileLz4()
  return [
    ['LZ4, data', data],
    ['LZ4, random', noise],
  ].map(([name, bytes]) => {
    const compressor = transform.createCompressor({ name: 'lz4' }, { arena, maxBlockBytes: BLOCK_BYTES })
    const compressed = blocksOf(bytes).map(block => {
      const { id, bytes: kept } = compressor.compress(block)
      return { id, bytes: kept.slice() }
    })
    const stored = compressed.reduce((sum, { bytes: kept }) => sum + kept.length, 0)
    const candidates = [
      here('compress, WebAssembly', bytes, block => compressor.compress(block), {
        note: percent(stored, bytes.length),
      }),
      here('decompress, WebAssembly', bytes, (_, i) =>
        transform.decompress(compressed[i].id, compressed[i].bytes, BLOCK_BYTES),
      ),
    ]
    if (program) {
      const input = join(folder, name.replaceAll(/\W+/g, '-'))
      writeFileSync(input, bytes)
      const native = operation => {
        const [cpu, total] = execFileSync(program, [operation, input], { encoding: 'utf8' }).split(' ').map(Number)
        return { rate: bytes.length / cpu / 1e6, total }
      }
      const note = percent(native('compress').total, bytes.length)
      candidates.unshift({ name: 'compress, liblz4', run: async () => native('compress').rate, isLimit: true, note })
      candidates.push({ name: 'decompress, liblz4', run: async () => native('decompress').rate })
    }
    return { name, candidates }
  })
}

function zstdGroup(name, bytes) {
  const { system, node, native, wasm } = zstdEngines()
  const candidates = []
  const plain = arena.allocate(BLOCK_BYTES).bytes
  for (const engine of [system, node, native, wasm].filter(Boolean)) {
    for (const level of engine === wasm ? [1, 3] : [1, 3, 9]) {
      const compressor = transform.createCompressor({ name: 'zstd', level }, { zstd: engine })
      const stored = blocksOf(bytes).reduce((sum, block) => sum + compressor.compress(block).bytes.length, 0)
      const note = percent(stored, bytes.length)
      candidates.push(here(`${engine.name}, level ${level}`, bytes, block => compressor.compress(block), { note }))
    }
    const encode = engine.compressor(3)
    const frames = blocksOf(bytes).map(block => encode(block))
    candidates.push(here(`${engine.name}, decompress`, bytes, (_, i) => engine.decompress(frames[i], plain)))
  }
  return { name, candidates }
}

function suiteGroup() {
  const candidates = []
  const target = arena.allocate(BLOCK_BYTES + 16).bytes
  const associated = randomBytes(64)
  const gcm = createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(12))
  const limit = here('node:crypto, one AES-256-GCM message', noise, block => {
    for (let at = 0; at < block.length; at += 32_768) gcm.update(block.subarray(at, at + 32_768))
  })
  candidates.push({ ...limit, isLimit: true })
  for (const suite of transform.suites) {
    const keys = { encryption: randomBytes(suite.keyBytes), mac: randomBytes(32) }
    const sealer = suite.open(keys)
    let ordinal = 0
    candidates.push(
      here(`${suite.name}, sealInto`, noise, block => sealer.sealInto(ordinal++, associated, block, target)),
      here(`${suite.name}, seal`, noise, block => sealer.seal(ordinal++, associated, block)),
    )
    const sealed = suite.open(keys).seal(0, associated, noise.subarray(0, BLOCK_BYTES))
    candidates.push(here(`${suite.name}, open`, noise, () => sealer.open(0, associated, sealed)))
  }
  return { name: 'Suites, 128 KiB messages', candidates }
}

function fill(bytes, path) {
  const file = openSync(path)
  for (let at = 0; at < bytes.length;) {
    const read = readSync(file, bytes, at, bytes.length - at, null)
    if (read === 0) {
      // A short file is repeated; LZ4's window is far shorter than any file worth measuring.
      bytes.copyWithin(at, 0, Math.min(at, bytes.length - at))
      at += Math.min(at, bytes.length - at)
    }
    at += read
  }
  closeSync(file)
}

/** liblz4 over a file in blocks of 128 KiB: prints CPU seconds and stored bytes. */
function compileLz4() {
  const source = join(folder, 'lz4.c')
  writeFileSync(
    source,
    `#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define BLOCK ${BLOCK_BYTES}
int main(int argc, char **argv) {
  FILE *file = fopen(argv[2], "rb");
  fseek(file, 0, SEEK_END);
  long length = ftell(file);
  rewind(file);
  char *in = malloc(length), *out = malloc(length), *back = malloc(BLOCK);
  int *sizes = malloc(sizeof(int) * (length / BLOCK));
  if (argc < 3 || fread(in, 1, length, file) != (size_t)length) return 1;
  memset(out, 1, length);
  const int capacity = BLOCK - BLOCK / 32;
  long total = 0;
  clock_t from = clock();
  for (long at = 0; at < length; at += BLOCK) {
    int size = LZ4_compress_default(in + at, out + at, BLOCK, capacity);
    sizes[at / BLOCK] = size;
    total += size > 0 ? size : BLOCK;
  }
  clock_t to = clock();
  if (!strcmp(argv[1], "decompress")) {
    from = clock();
    for (long at = 0; at < length; at += BLOCK) {
      if (sizes[at / BLOCK] > 0) LZ4_decompress_safe(out + at, back, sizes[at / BLOCK], BLOCK);
      else memcpy(back, in + at, BLOCK);
    }
    to = clock();
  }
  printf("%f %ld\\n", (double)(to - from) / CLOCKS_PER_SEC, total);
}
`,
  )
  const program = join(folder, 'lz4')
  const built = works(() => execFileSync('gcc', ['-O3', source, '-o', program, '-llz4'], { stdio: 'ignore' }))
  if (!built) missing('gcc with liblz4')
  return built ? program : undefined
}

function works(attempt) {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}

function missing(name) {
  console.error(`${name} is missing here: its comparison is left out`)
}

function percent(part, whole) {
  return `stored ${((100 * part) / whole).toFixed(1)} %`
}

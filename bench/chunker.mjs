// How fast the chunkers cut, against the memory's and the compiler's limits, and how much they save on real disks.
//   node bench/chunker.mjs                  speed: grid against memcpy, FastCDC against C
//   node bench/chunker.mjs FOLDER...        also what a series of disks (FOLDER/v1.raw, v2.raw, ...) takes to store
// A table for people, and a JSON line for each figure. Figures are per CPU second, medians of several rounds.
import { execFileSync } from 'node:child_process'
import { createHash, hkdfSync } from 'node:crypto'
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WINDOW_BYTES, DATA, chunkerArenaBytes, createChunker, parseChunker } from '@granary/chunker'
import { Arena } from '@granary/core'

const SECRET = new Uint8Array(32).fill(7)
const MiB = 1024 * 1024
const COLD_BYTES = 512 * MiB
const GEAR_BYTES = 256 * MiB
const ROUNDS = 9

const report = line => console.log(JSON.stringify({ bench: 'chunker', ...line }))
const median = values => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Gigabytes per CPU second of this process, all threads. */
const rate = (bytes, run) => {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return bytes / (user + system) / 1000
}

/** Pseudo-random words: fast to make, and no compiler or kernel can tell them from data. */
const fillRandom = bytes => {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  let state = 0x9e3779b9
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[at] = state
  }
}

const gridAgainstMemcpy = () => {
  const parameters = parseChunker('grid:128k')
  const arena = new Arena(chunkerArenaBytes(parameters) + COLD_BYTES)
  const source = arena.allocate(COLD_BYTES)
  const target = new Uint8Array(COLD_BYTES).fill(1)
  fillRandom(source.bytes)
  const chunker = createChunker(parameters, SECRET, { arena })
  const cut = () => {
    for (let at = 0; at < COLD_BYTES; at += WINDOW_BYTES) chunker.cutWindow(source.pointer + at, WINDOW_BYTES)
  }
  const copy = () => {
    for (let at = 0; at < COLD_BYTES; at += WINDOW_BYTES) target.set(source.bytes.subarray(at, at + WINDOW_BYTES), at)
  }
  for (let warm = 0; warm < 2; warm++) cut(copy())
  const rounds = Array.from({ length: ROUNDS }, () => ({ memcpy: rate(COLD_BYTES, copy), grid: rate(COLD_BYTES, cut) }))
  const memcpy = median(rounds.map(round => round.memcpy))
  const grid = median(rounds.map(round => round.grid))
  const ratio = median(rounds.map(round => round.grid / round.memcpy))
  console.log(`grid:128k, both hash passes and AES   ${grid.toFixed(1)} GB/s`)
  console.log(
    `memcpy, cold                          ${memcpy.toFixed(1)} GB/s   ratio ${ratio.toFixed(2)} (target 1.0)`,
  )
  report({ what: 'grid against memcpy', grid, memcpy, ratio, target: 1, rounds: ROUNDS, bytes: COLD_BYTES })
}

const hasCompiler = () => {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const fastcdcAgainstC = () => {
  if (!hasCompiler()) {
    console.log('FastCDC against C: left out, gcc is missing')
    return report({ what: 'fastcdc against C', skipped: 'gcc is missing' })
  }
  const folder = mkdtempSync(join(tmpdir(), 'granary-bench-'))
  try {
    const parameters = parseChunker('fastcdc:64k')
    const arena = new Arena(chunkerArenaBytes(parameters) + GEAR_BYTES)
    const source = arena.allocate(GEAR_BYTES)
    fillRandom(source.bytes)
    const table = new Uint8Array(hkdfSync('sha256', SECRET, '', 'granary chunker v1 fastcdc gear', 2048))
    writeFileSync(join(folder, 'table'), table)
    writeFileSync(join(folder, 'data'), source.bytes)
    const program = join(folder, 'fastcdc')
    execFileSync('gcc', ['-O3', '-o', program, join(dirname(fileURLToPath(import.meta.url)), 'fastcdc.c')])
    const chunker = createChunker(parameters, SECRET, { arena })
    const found = { chunks: 0, checksum: 0 }
    const cut = () => {
      Object.assign(found, { chunks: 0, checksum: 0 })
      for (let start = 0; start < GEAR_BYTES; start += WINDOW_BYTES) {
        const { count, lengths } = chunker.cutWindow(source.pointer + start, WINDOW_BYTES)
        for (let chunk = 0, at = start; chunk < count; chunk++) {
          at += lengths[chunk]
          found.checksum = (found.checksum * 31 + at) % 1000003
        }
        found.chunks += count
      }
    }
    cut()
    const { minBytes, averageBytes, maxBytes } = parameters
    const numbers = [minBytes, averageBytes, maxBytes, WINDOW_BYTES, 2].map(String)
    const runC = () => {
      const [bytes, seconds, chunks, checksum] = execFileSync(program, [
        join(folder, 'table'),
        join(folder, 'data'),
        ...numbers,
      ])
        .toString()
        .trim()
        .split('\n')
        .at(-1)
        .split(' ')
        .map(Number)
      if (chunks !== found.chunks || checksum !== found.checksum) throw new Error('C and WebAssembly cut differently')
      return bytes / seconds / 1e9
    }
    const rounds = Array.from({ length: ROUNDS }, () => ({ wasm: rate(GEAR_BYTES, cut), native: runC() }))
    const wasm = median(rounds.map(round => round.wasm))
    const native = median(rounds.map(round => round.native))
    const ratio = median(rounds.map(round => round.wasm / round.native))
    console.log(`fastcdc:64k, with its zero test       ${wasm.toFixed(2)} GB/s`)
    console.log(
      `the same loop in C, gcc -O3           ${native.toFixed(2)} GB/s   ratio ${ratio.toFixed(2)} (target 0.95)`,
    )
    report({ what: 'fastcdc against C', wasm, native, ratio, target: 0.95, rounds: ROUNDS, chunks: found.chunks })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const COMPARED = ['fixed:4m', 'fixed:128k', 'fastcdc:1m', 'fastcdc:64k', 'grid:128k', 'grid:64k']

/** Reads every disk once, whole, window by window, and lets all chunkers cut each window. */
const savings = folder => {
  const disks = readdirSync(folder)
    .filter(name => /^v\d+\.raw$/.test(name))
    .toSorted()
  const all = COMPARED.map(name => parseChunker(name))
  const arena = new Arena(all.reduce((sum, parameters) => sum + chunkerArenaBytes(parameters), WINDOW_BYTES))
  const window = arena.allocate(WINDOW_BYTES)
  const rows = all.map((parameters, at) => ({
    name: COMPARED[at],
    chunker: createChunker(parameters, SECRET, { arena }),
    known: new Set(),
    chunks: 0,
    perDisk: [],
  }))
  for (const disk of disks) {
    for (const row of rows) row.perDisk.push(0)
    const file = openSync(join(folder, disk))
    const { size } = fstatSync(file)
    for (let at = 0; at < size; at += WINDOW_BYTES) {
      const length = Math.min(WINDOW_BYTES, size - at)
      for (let got = 0; got < length;) got += readSync(file, window.bytes, got, length - got, at + got)
      for (const row of rows) store(row, window, length)
    }
    closeSync(file)
  }
  return { disks, rows }
}

const store = (row, window, length) => {
  const { count, lengths, kinds } = row.chunker.cutWindow(window.pointer, length)
  for (let piece = 0, at = 0; piece < count; at += lengths[piece++]) {
    if (kinds[piece] !== DATA) continue
    row.chunks++
    const id = createHash('sha256')
      .update(window.bytes.subarray(at, at + lengths[piece]))
      .digest('latin1')
    if (row.known.has(id)) continue
    row.known.add(id)
    row.perDisk[row.perDisk.length - 1] += lengths[piece]
  }
}

const printSavings = folder => {
  const { disks, rows } = savings(folder)
  const totalOf = ({ perDisk }) => perDisk.reduce((sum, bytes) => sum + bytes, 0)
  const byName = Object.fromEntries(rows.map(row => [row.name, totalOf(row)]))
  console.log(`\n${basename(folder)}: MiB newly stored before compression`)
  console.log(`| chunker | ${disks.map(disk => disk.replace('.raw', '')).join(' | ')} | total | chunks stored |`)
  console.log(`|---|${'---|'.repeat(disks.length + 2)}`)
  for (const row of rows) {
    const cells = [...row.perDisk, totalOf(row)].map(bytes => Math.round(bytes / MiB))
    console.log(`| ${row.name} | ${cells.join(' | ')} | ${row.known.size} |`)
    report({
      what: 'stored bytes',
      set: basename(folder),
      chunker: row.name,
      perDisk: row.perDisk,
      total: totalOf(row),
      stored: row.known.size,
      cut: row.chunks,
    })
  }
  const againstBytes = byName['grid:128k'] / byName['fastcdc:64k']
  const againstFixed = byName['grid:128k'] / byName['fixed:128k']
  console.log(
    `grid:128k / fastcdc:64k ${againstBytes.toFixed(3)} (target 1.15), / fixed:128k ${againstFixed.toFixed(3)} (target 0.85)`,
  )
  report({ what: 'savings', set: basename(folder), againstBytes, againstFixed })
}

gridAgainstMemcpy()
fastcdcAgainstC()
for (const folder of process.argv.slice(2)) printSavings(folder)

// How fast are qcow2 images read, against `qemu-img convert` reading the same image into nothing?
// node bench/qcow2.mjs [--json] [--mib N]
// `ratio` is by wall clock, `cpuRatio` by CPU time, which a busy machine does not change; above 1 is in our favour.
import { execFileSync, spawnSync } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import { mkdtempSync, openSync, closeSync, rmSync, statSync, writeSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openQcow2File } from '@granary/qcow2'

const asJson = process.argv.includes('--json')
const sizeMib = Number(process.argv[process.argv.indexOf('--mib') + 1] ?? NaN) || 2048
const ROUNDS = 5
const TARGETS = { plain: 0.8, zlib: 1, zstd: 1 }

if (spawnSync('qemu-img', ['--version']).status !== 0) {
  console.error('qemu-img is not on this machine: nothing to compare with')
  process.exit(0)
}

const folder = mkdtempSync(join(tmpdir(), 'granary-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A disk like real ones: text-like data that compresses to about 40 %, some noise, some holes. */
const makeRaw = path => {
  const file = openSync(path, 'w')
  const mib = 1024 * 1024
  for (let at = 0; at < sizeMib; at++) {
    if (at % 8 === 7) continue
    const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, at), Buffer.alloc(16)).update(Buffer.alloc(mib))
    if (at % 8 !== 6) for (let i = 0; i < mib; i++) noise[i] = i % 48 < 20 ? 97 + (noise[i] & 15) : 32 + ((i / 48) & 63)
    writeSync(file, noise, 0, mib, at * mib)
  }
  closeSync(file)
}

const REQUEST_BYTES = 2 * 1024 * 1024
const IN_FLIGHT = 4

/** Reads all data of an image, a few requests at once, into shared memory. */
const readAll = async path => {
  const disk = await openQcow2File(path)
  const requests = []
  for await (const { kind, offset, length } of disk.extents()) {
    if (kind !== 'data') continue
    for (let at = offset; at < offset + length; at += REQUEST_BYTES)
      requests.push([at, Math.min(REQUEST_BYTES, offset + length - at)])
  }
  let next = 0
  let bytes = 0
  const lane = async () => {
    const buffer = new Uint8Array(new SharedArrayBuffer(REQUEST_BYTES))
    while (next < requests.length) {
      const [at, length] = requests[next++]
      await disk.read(at, buffer.subarray(0, length))
      bytes += length
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  await disk[Symbol.asyncDispose]()
  return bytes
}

/** Wall and CPU seconds, those of the workers too. */
const ours = async path => {
  const start = performance.now()
  const before = process.cpuUsage()
  await readAll(path)
  const { user, system } = process.cpuUsage(before)
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 }
}

const theirs = path => {
  const source = `driver=qcow2,file.driver=file,file.filename=${path}`
  const target = `driver=raw,file.driver=null-co,file.size=${sizeMib * 1024 * 1024}`
  const command = ['qemu-img', 'convert', '-n', '--image-opts', '--target-image-opts', source, target]
  const script = 'TIMEFORMAT="%R %U %S"; time "$@"'
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', ...command], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  })
  if (status !== 0) throw new Error(stderr)
  const [wall, user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  return { wall, cpu: user + system }
}

const median = values => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const raw = join(folder, 'disk.raw')
makeRaw(raw)
const results = []
for (const [name, args] of Object.entries({
  plain: [],
  zlib: ['-c', '-o', 'compression_type=zlib'],
  zstd: ['-c', '-o', 'compression_type=zstd'],
})) {
  const image = join(folder, `${name}.qcow2`)
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...args, raw, image])
  await ours(image) // Both sides run once for the page cache and the optimiser.
  theirs(image)
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) rounds.push({ ours: await ours(image), theirs: theirs(image) })
  const ratio = of => Number(median(rounds.map(r => r.theirs[of] / r.ours[of])).toFixed(2))
  const speed = side => Math.round(sizeMib / median(rounds.map(r => r[side].wall)))
  results.push({
    image: name,
    imageMib: Math.round(statSync(image).size / 2 ** 20),
    mibPerSecond: speed('ours'),
    qemuMibPerSecond: speed('theirs'),
    ratio: ratio('wall'),
    cpuRatio: ratio('cpu'),
    target: TARGETS[name],
  })
}

if (asJson) for (const result of results) console.log(JSON.stringify({ bench: 'qcow2-read', ...result }))
else {
  console.log(`Reading ${sizeMib} MiB, median of ${ROUNDS} rounds side by side, ${availableParallelism()} processors`)
  console.table(results)
}

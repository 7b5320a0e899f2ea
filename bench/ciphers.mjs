// How fast is every cipher in CTR, and does it hold up to the native libraries?
//   node bench/ciphers.mjs [--json] [--seconds N] [cipher ...]
// Figures are MB (10^6 bytes) per CPU second over 1 MiB in memory that is reused, the best of several rounds in which
// all candidates take turns. `ratio` is the kernel's figure against the best portable native one, which was measured
// where node:crypto did AES-256-CTR at 1793 MB/s, scaled by what it does here; `rawRatio` is without that scaling.
// AES runs as it was measured there: one `update` of 1 MiB into fresh memory. Needs built packages.
import { createCipheriv, randomBytes } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { Arena } from '@granary/core'
import { CtrEngine } from '@granary/transform'

const DATA_BYTES = 2 ** 20

/** The best portable native figures, MB/s, and what AES-256-CTR through node:crypto did beside them. */
const AES_THERE = 1793
const VARIANTS = [
  { name: 'anubis', keyBits: 256, nativeThere: 232 },
  { name: 'aria', keyBits: 256, nativeThere: 128 },
  { name: 'cast6', keyBits: 256, nativeThere: 139 },
  { name: 'camellia', keyBits: 256, nativeThere: 146 },
  { name: 'kalyna', keyBits: 128, nativeThere: 315 },
  { name: 'kalyna', keyBits: 256, nativeThere: 241 },
  { name: 'kalyna', keyBits: 512, nativeThere: 198 },
  { name: 'kuznyechik', keyBits: 256, nativeThere: 153 },
  { name: 'mars', keyBits: 256, nativeThere: 205 },
  { name: 'aes', keyBits: 256, nativeThere: AES_THERE },
  { name: 'serpent', keyBits: 256, nativeThere: 509 },
  { name: 'simon', keyBits: 256, nativeThere: 428 },
  { name: 'sm4', keyBits: 128, nativeThere: 372 },
  { name: 'speck', keyBits: 256, nativeThere: 1347 },
  { name: 'threefish', keyBits: 256, nativeThere: 633 },
  { name: 'threefish', keyBits: 512, nativeThere: 807 },
  { name: 'threefish', keyBits: 1024, nativeThere: 700 },
  { name: 'twofish', keyBits: 256, nativeThere: 228 },
]

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** MB per CPU second of `run`, which does 1 MiB, over about 40 ms. */
const measureOnce = run => {
  const start = cpuSeconds()
  let count = 0
  do {
    run()
    count++
  } while (cpuSeconds() - start < 0.04)
  return (count * DATA_BYTES) / 1e6 / (cpuSeconds() - start)
}

const engineOf = (variant, engine) => {
  try {
    const arena = new Arena(DATA_BYTES + 65_536)
    const suite = new CtrEngine(arena, { name: variant.name, keyBits: variant.keyBits, engine })
    const { pointer } = arena.allocate(DATA_BYTES)
    suite.setKey(randomBytes(variant.keyBits / 8))
    let ordinal = 0n
    return { chosen: suite.engine, run: () => suite.ctrInto(pointer, DATA_BYTES, { ordinal: ordinal++ }) }
  } catch (error) {
    if (engine === 'openssl' && error.code === 'GRANARY_INVALID_ARGUMENT') return undefined
    throw error
  }
}

/** node:crypto's AES-256-CTR as the figures of the table were measured: the yardstick for this machine at this moment. */
const yardstick = () => {
  const cipher = createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16))
  const data = randomBytes(DATA_BYTES)
  return () => cipher.update(data)
}

/** One row for each cipher: MB per CPU second by WebAssembly and by OpenSSL, which of them is chosen, and the ratios. */
export const benchCiphers = ({ seconds = 0.6, names = [] } = {}) => {
  const runAes = yardstick()
  return VARIANTS.filter(({ name }) => names.length === 0 || names.includes(name)).map(variant => {
    const wasm = engineOf(variant, 'wasm')
    const openssl = engineOf(variant, 'openssl')
    for (let i = 0; i < 12; i++) wasm.run() // V8 compiles a kernel for speed once it has run for a while.
    const best = { aes: 0, wasm: 0, openssl: 0 }
    for (const start = cpuSeconds(); cpuSeconds() - start < seconds;) {
      best.aes = Math.max(best.aes, measureOnce(runAes))
      best.wasm = Math.max(best.wasm, measureOnce(wasm.run))
      if (openssl !== undefined) best.openssl = Math.max(best.openssl, measureOnce(openssl.run))
    }
    const rawRatio = best.wasm / variant.nativeThere
    return {
      cipher: variant.name,
      keyBits: variant.keyBits,
      wasmMegabytesPerSecond: Math.round(best.wasm),
      ...(openssl !== undefined && { opensslMegabytesPerSecond: Math.round(best.openssl) }),
      chosen: engineOf(variant).chosen,
      aesMegabytesPerSecond: Math.round(best.aes),
      rawRatio: round(rawRatio),
      ratio: round((rawRatio * AES_THERE) / best.aes),
    }
  })
}

const round = value => Math.round(value * 100) / 100

const main = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '0.6' } },
  })
  const rows = benchCiphers({ seconds: Number(values.seconds), names: positionals })
  if (values.json) for (const row of rows) console.log(JSON.stringify(row))
  else console.table(rows)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()

// How fast is every cipher in CTR, and does it hold up to the native libraries?
//   node bench/ciphers.mjs [--json] [--seconds N] [cipher ...]
// The measuring is `measureCiphers` of @granary/transform, as in `granary bench ciphers`. `ratio` is the kernel's figure
// against the best portable native one, which was measured where node:crypto did AES-256-CTR at 1793 MB/s, scaled by
// what it does here; `rawRatio` is without that scaling. Needs built packages.
import { parseArgs } from 'node:util'
import { measureCiphers } from '@granary/transform'

/** The best portable native figures, MB/s, and what AES-256-CTR through node:crypto did beside them. */
const AES_THERE = 1793
const NATIVE_THERE = {
  'aes-256': AES_THERE,
  'anubis-256': 232,
  'aria-256': 128,
  'camellia-256': 146,
  'cast6-256': 139,
  'kalyna-128': 315,
  'kalyna-256': 241,
  'kalyna-512': 198,
  'kuznyechik-256': 153,
  'mars-256': 205,
  'serpent-256': 509,
  'simon-256': 428,
  'sm4-128': 372,
  'speck-256': 1347,
  'threefish-256': 633,
  'threefish-512': 807,
  'threefish-1024': 700,
  'twofish-256': 228,
}

const round = value => Math.round(value * 100) / 100

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '0.6' } },
})
const rows = []
for (const figures of measureCiphers({ seconds: Number(values.seconds) }, positionals)) {
  const rawRatio = figures.wasmMegabytesPerSecond / NATIVE_THERE[`${figures.cipher}-${figures.keyBits}`]
  const row = {
    ...figures,
    rawRatio: round(rawRatio),
    ratio: round((rawRatio * AES_THERE) / figures.aesMegabytesPerSecond),
  }
  if (values.json) console.log(JSON.stringify(row))
  else rows.push(row)
}
if (rows.length > 0) console.table(rows)

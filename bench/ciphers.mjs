// How fast is every cipher in CTR, and does it hold up to the native libraries?
//   node bench/ciphers.mjs [--json] [--seconds N] [--native] [cipher ...]
// The measuring is `measureCiphers` of @granary/transform, as in `granary bench ciphers`, in MB per CPU second. Four ratios
// of the engine that is chosen:
// - `nativeRatio`, with --native: against Crypto++ (Debian: libcrypto++-utils) on this machine in the same run, by its own
//   benchmark, with whatever instructions it uses; and against Botan (Debian: botan) where that is faster
// - `rawRatio`: against the best portable native figure of a table that was measured elsewhere
// - `ratio`: the same, scaled by what node:crypto's AES-256-CTR does here and did there (1793 MB/s), in messages of 1 MiB and
//   a process of its own
// - `piecesRatio`: scaled by AES here in pieces of 32 KiB, which never waits for pages, where that of the table did. And where
//   the processor has instructions that make AES alone faster, this asks too much of all others
// Needs built packages.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { measureAes, measureCiphers } from '@granary/transform'

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
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '0.6' },
    native: { type: 'boolean', default: false },
  },
})
const MIB_IN_MB = 1.048576
/** Figures of native libraries on this machine by `cipher-blockBits-keyBits`, each the best that was seen. */
const native = new Map()
const note = (key, megabytesPerSecond, library) => {
  if (megabytesPerSecond > (native.get(key)?.speed ?? 0)) native.set(key, { speed: megabytesPerSecond, library })
}
if (values.native) for (let round = 0; round < 2; round++) runNative()
const rows = []
const all = []
const seconds = Number(values.seconds)
const aes = await measureAes({ seconds: 2 * seconds })
for (const figures of measureCiphers({ seconds, aes }, positionals)) {
  const { speed, library } = native.get(`${figures.cipher}-${figures.blockBits}-${figures.keyBits}`) ?? {}
  const here = figures.chosen === 'openssl' ? figures.opensslMegabytesPerSecond : figures.wasmMegabytesPerSecond
  const rawRatio = here / NATIVE_THERE[`${figures.cipher}-${figures.keyBits}`]
  const row = {
    ...figures,
    ...(speed === undefined
      ? {}
      : { nativeMegabytesPerSecond: Math.round(speed), library, nativeRatio: round(here / speed) }),
    sealCost: round(here / figures.sealMegabytesPerSecond),
    rawRatio: round(rawRatio),
    ratio: round((rawRatio * AES_THERE) / aes.aesMegabytesPerSecond),
    piecesRatio: round((rawRatio * AES_THERE) / aes.aesPiecesMegabytesPerSecond),
  }
  all.push(row)
  if (values.json) console.log(JSON.stringify(row))
  else rows.push(row)
}
if (rows.length > 0) console.table(rows)
summarize()

/** Of our own kernels: AES is OpenSSL's, and the yardstick. */
function summarize() {
  const own = all.filter(({ chosen }) => chosen === 'wasm')
  for (const field of ['nativeRatio', 'rawRatio', 'ratio', 'piecesRatio']) {
    const ratios = own.flatMap(row => (Number.isFinite(row[field]) ? [row[field]] : [])).toSorted((a, b) => a - b)
    if (ratios.length === 0) continue
    const median = ratios[Math.floor(ratios.length / 2)]
    console.log(JSON.stringify({ bench: 'ciphers', field, ciphers: ratios.length, lowest: ratios[0], median }))
  }
}

/** Both programs count CPU time of their own thread, as we do. */
function runNative() {
  const { stdout } = spawnSync('cryptest', ['b2', '0.15', '3.0'], { cwd: '/usr/share/crypto++', encoding: 'utf8' })
  const row = /^([A-Za-z0-9]+)(?:-(\d+)\((\d+)\))?\/CTR \((\d+)-bit key\) \S+ (\d+)/
  for (const line of (stdout ?? '').split('\n')) {
    const [, name, block = '128', , key, mebibytes] =
      row.exec(
        line
          .replaceAll(/<[^>]*>/g, ' ')
          .replaceAll(/\s+/g, ' ')
          .trim(),
      ) ?? []
    if (name === undefined) continue
    // CAST-256 and MARS are written without parentheses, Twofish, Serpent and MARS are run with 128-bit keys only.
    const cipher = name.toLowerCase()
    for (const bits of ['twofish', 'serpent', 'mars'].includes(cipher) ? [128, 256] : [Number(key)])
      note(`${cipher}-${block}-${bits}`, mebibytes * MIB_IN_MB, 'Crypto++')
  }
  const cast = /CAST-256\/CTR \(256-bit key\) \S+ (\d+)/.exec(
    (stdout ?? '').replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' '),
  )
  if (cast !== null) note('cast6-128-256', cast[1] * MIB_IN_MB, 'Crypto++')
  const names = {
    Serpent: 'serpent-128-256',
    Twofish: 'twofish-128-256',
    'CAST-256': 'cast6-128-256',
    'ARIA-256': 'aria-128-256',
    'Camellia-256': 'camellia-128-256',
    SM4: 'sm4-128-128',
    'Threefish-512': 'threefish-512-512',
    'AES-256': 'aes-128-256',
  }
  const botan = spawnSync('botan', ['speed', '--msec=150', '--buf-size=65536', ...Object.keys(names)], {
    encoding: 'utf8',
  })
  for (const [, name, mebibytes] of (botan.stdout ?? '').matchAll(/^(\S+) encrypt .*?: ([\d.]+) MiB\/sec/gm))
    if (names[name] !== undefined) note(names[name], mebibytes * MIB_IN_MB, 'Botan')
}

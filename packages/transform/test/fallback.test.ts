import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { loadOptional } from '@granary/core'

const INDEX = new URL('../src/index.js', import.meta.url).href
const CORE = import.meta.resolve('@granary/core')

t.test('a native part that does not load is no error', async t => {
  t.equal(
    loadOptional(() => {
      throw new Error('no prebuilt binary')
    }),
    undefined,
  )
  t.strictSame(
    loadOptional(() => ({ a: 1 })),
    { a: 1 },
  )
})

/** Makes every native addon fail to load, as on a platform nobody built for. */
const WITHOUT_NATIVE = `
process.dlopen = () => { throw new Error('no native addons here') }
`

/** Opens what was made with whatever this process has, and makes the same again. */
const PROGRAM = `
const t = await import(process.argv[2])
const core = await import('${CORE}')
const made = JSON.parse(process.argv[3] ?? 'null')
const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i) >> 7)
const hex = bytes => Buffer.from(bytes).toString('hex')
const secret = { kind: 'passphrase', passphrase: 'everywhere' }
const kdf = { name: 'argon2id', memoryKiB: 64, passes: 1, lanes: 2 }
const keyring = new t.Keyring(new Map([[1, new Uint8Array(32)]]), 1)
const frame = t.createCompressor({ name: 'zstd', level: 3 }).compress(bytes)
const result = {
  engines: {
    blake3: t.defaultBlake3Engine().name,
    argon2: t.defaultArgon2Engine().name,
    zstd: core.defaultZstdDecompressor().name,
  },
  hash: hex(t.blake3(bytes, { key: new Uint8Array(32) })),
  chunkId: hex(keyring.repositoryKeys().chunkId),
  slot: hex(await t.createSlot(keyring, secret, { label: 'a', kdf })),
  frame: hex(frame.bytes),
}
if (made !== null) {
  const plain = t.decompress(2, Buffer.from(made.frame, 'hex'), bytes.length)
  const opened = await t.openSlot(new Uint8Array(Buffer.from(made.slot, 'hex')), secret)
  result.isSame = Buffer.compare(plain, bytes) === 0 && hex(opened.generations.get(1)) === '00'.repeat(32)
}
console.log(JSON.stringify(result))
`

interface Result {
  readonly engines: Readonly<Record<string, string>>
  readonly hash: string
  readonly chunkId: string
  readonly slot: string
  readonly frame: string
  readonly isSame?: boolean
}

t.test('without any native part everything works, and agrees with a process that has them', async t => {
  const folder = t.testdir()
  const [block, program] = [join(folder, 'block.cjs'), join(folder, 'program.mjs')]
  writeFileSync(block, WITHOUT_NATIVE)
  writeFileSync(program, PROGRAM)
  const run = async (flags: readonly string[], made?: Result): Promise<Result> => {
    const more = made === undefined ? [] : [JSON.stringify({ slot: made.slot, frame: made.frame })]
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, INDEX, ...more])
    return JSON.parse(stdout) as Result
  }
  const usual = await run([])
  const without = await run(['--require', block], usual)
  t.equal(without.engines['blake3'], 'wasm')
  t.equal(without.engines['argon2'], 'wasm')
  t.equal(without.hash, usual.hash)
  t.equal(without.chunkId, usual.chunkId)
  t.equal(without.isSame, true, 'it opens what the other made')
  t.equal((await run([], without)).isSame, true, 'and the other way round')
})

import { spawnSync } from 'node:child_process'
import { chmod, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import t from 'tap'
import {
  Keyring,
  createDataKey,
  createKeyFile,
  deriveKey,
  deriveObjectKeys,
  deriveRepositoryKeys,
  openKeyring,
  readKeyFile,
  sealKeyring,
  unwrapDataKey,
  wrapDataKey,
} from '../src/index.ts'
import { openBox, sealBox } from '../src/keys/sealed-box.ts'
import { toHex } from './vectors.ts'

const text = (string: string): Bytes => new TextEncoder().encode(string)

/** A copy with one bit turned. */
const flip = (bytes: Bytes, bit: number): Bytes => {
  const flipped = bytes.slice()
  flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
  return flipped
}

const codeOf = (attempt: () => unknown): string => {
  try {
    attempt()
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

t.test('derived keys are what docs/formats/keys.md says, and differ from each other', async t => {
  const root = seededBytes(32, 1)
  const keys = deriveRepositoryKeys(root)
  t.strictSame(keys.chunkId, deriveKey('granary 2026 v1 chunk id', root))
  t.strictSame(keys.mapId, deriveKey('granary 2026 v1 map id', root))
  t.strictSame(keys.chunker, deriveKey('granary 2026 v1 chunker', root))
  t.strictSame(keys.index, deriveKey('granary 2026 v1 index', root))
  t.strictSame(keys.manifest, deriveKey('granary 2026 v1 manifest', root))
  t.strictSame(keys.session, deriveKey('granary 2026 v1 session', root))
  t.strictSame(keys.wrap, deriveKey('granary 2026 v1 data key wrap', root))
  t.strictSame(keys.signingSeed, deriveKey('granary 2026 v1 signing seed', root))
  t.equal(new Set(Object.values(keys).map(toHex)).size, Object.keys(keys).length)
  // A golden value, from an independent library: changing it would orphan every repository.
  t.equal(
    toHex(deriveRepositoryKeys(new Uint8Array(32)).chunkId),
    'b746526f5aecb3c78be742f30bbab4c78bb3363b1d4ed94b320b988bd335e645',
  )
  t.throws(() => deriveRepositoryKeys(new Uint8Array(31)), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('rotation: ids, chunker and index keys stay, the rest are new', async t => {
  const first = Keyring.create()
  const second = first.rotated()
  t.equal(first.current, 1)
  t.equal(second.current, 2)
  t.strictSame([...second.generations.keys()], [1, 2])
  const before = first.repositoryKeys()
  const after = second.repositoryKeys()
  for (const name of ['chunkId', 'mapId', 'chunker', 'index'] as const) t.strictSame(after[name], before[name], name)
  for (const name of ['manifest', 'session', 'wrap', 'signingSeed'] as const) t.notSame(after[name], before[name], name)
  t.strictSame(second.repositoryKeys(1), before, 'old objects stay readable')
  t.equal(second.repositoryKeys(), after, 'derived once')
  t.throws(() => first.repositoryKeys(2), { code: 'GRANARY_WRONG_KEY', detail: { generation: 2, current: 1 } })
  t.not(toHex(Keyring.create().repositoryKeys().chunkId), toHex(before.chunkId))
})

t.test('a keyring without its first or its current generation, or with a short root, is refused', async t => {
  const root = seededBytes(32, 2)
  const code = 'GRANARY_INVALID_ARGUMENT'
  t.throws(() => new Keyring(new Map([[2, root]]), 2), { code })
  t.throws(() => new Keyring(new Map([[1, root]]), 2), { code })
  t.throws(() => new Keyring(new Map([[1, root.subarray(1)]]), 1), { code })
  t.throws(() => new Keyring(new Map([[1, root], [1.5, root]]), 1), { code }) // prettier-ignore
  t.throws(() => new Keyring(new Map(Array.from({ length: 1025 }, (_, i) => [i + 1, root])), 1), { code })
})

t.test('keys of an object: three different ones, of that salt and that domain only', async t => {
  const domain = seededBytes(32, 3)
  const salt = seededBytes(32, 4)
  const keys = deriveObjectKeys(domain, salt)
  const material = Buffer.concat([domain, salt])
  t.strictSame(keys.encryption, deriveKey('granary 2026 v1 object encryption', material))
  t.strictSame(keys.mac, deriveKey('granary 2026 v1 object mac', material))
  t.strictSame(keys.commitment, deriveKey('granary 2026 v1 object commitment', material))
  const others = [deriveObjectKeys(seededBytes(32, 5), salt), deriveObjectKeys(domain, seededBytes(32, 6))]
  t.equal(new Set([keys, ...others].flatMap(Object.values).map(toHex)).size, 9)
  const long = deriveObjectKeys(domain, salt, 128).encryption
  t.equal(long.length, 128)
  t.strictSame(long.subarray(0, 32), keys.encryption)
  t.throws(() => deriveObjectKeys(domain, salt.subarray(1)), { code: 'GRANARY_INVALID_ARGUMENT' })
  t.throws(() => deriveObjectKeys(domain.subarray(1), salt), { code: 'GRANARY_INVALID_ARGUMENT' })
})

t.test('data keys: wrapped for one domain under one key, never twice the same', async t => {
  const { wrap } = Keyring.create().repositoryKeys()
  const dataKey = createDataKey()
  const wrapped = wrapDataKey(wrap, dataKey, text('domain 1'))
  t.equal(wrapped.length, 113)
  t.strictSame(unwrapDataKey(wrap, wrapped, text('domain 1')), dataKey)
  t.notSame(wrapDataKey(wrap, dataKey, text('domain 1')), wrapped)
  t.equal(
    codeOf(() => unwrapDataKey(wrap, wrapped, text('domain 2'))),
    'GRANARY_AUTHENTICATION',
  )
  t.equal(
    codeOf(() => unwrapDataKey(seededBytes(32, 7), wrapped, text('domain 1'))),
    'GRANARY_WRONG_KEY',
  )
  t.equal(
    codeOf(() => unwrapDataKey(wrap, wrapped.subarray(0, 40), text('domain 1'))),
    'GRANARY_CORRUPT',
  )
  t.equal(
    codeOf(() => wrapDataKey(wrap, dataKey.subarray(1), text('x'))),
    'GRANARY_INVALID_ARGUMENT',
  )
  const seen = new Set<string>()
  for (let bit = 0; bit < wrapped.length * 8; bit++) seen.add(codeOf(() => unwrapDataKey(wrap, flip(wrapped, bit), text('domain 1')))) // prettier-ignore
  t.strictSame([...seen].toSorted(), ['GRANARY_AUTHENTICATION', 'GRANARY_UNSUPPORTED', 'GRANARY_WRONG_KEY'])
})

t.test('a sealed keyring opens with its key and header only', async t => {
  const keyring = Keyring.create().rotated().rotated()
  const kek = seededBytes(32, 8)
  const sealed = sealKeyring(keyring, kek, text('header'))
  const opened = openKeyring(sealed, kek, text('header'))
  t.equal(opened.current, 3)
  t.strictSame([...opened.generations], [...keyring.generations])
  t.equal(
    codeOf(() => openKeyring(sealed, seededBytes(32, 9), text('header'))),
    'GRANARY_WRONG_KEY',
  )
  t.equal(
    codeOf(() => openKeyring(sealed, kek, text('headeR'))),
    'GRANARY_AUTHENTICATION',
  )
})

t.test('a keyring whose inside is wrong, though sealed with the right key', async t => {
  const kek = seededBytes(32, 10)
  const inside = (current: number, entries: readonly number[], count = entries.length, version = 1): Bytes => {
    const bytes = Buffer.alloc(7 + entries.length * 36)
    bytes.writeUInt8(version)
    bytes.writeUInt32BE(current, 1)
    bytes.writeUInt16BE(count, 5)
    for (const [i, generation] of entries.entries()) bytes.writeUInt32BE(generation, 7 + i * 36)
    return bytes
  }
  const open = (bytes: Bytes): string => codeOf(() => openKeyring(sealBox(kek, text('h'), bytes), kek, text('h')))
  t.equal(open(inside(1, [1])), 'none')
  t.equal(open(inside(1, [1], 2)), 'GRANARY_CORRUPT')
  t.equal(open(inside(1, [1, 1])), 'GRANARY_CORRUPT')
  t.equal(open(inside(3, [1, 2])), 'GRANARY_CORRUPT')
  t.equal(open(inside(2, [2])), 'GRANARY_CORRUPT')
  t.equal(open(new Uint8Array(3)), 'GRANARY_CORRUPT')
  t.equal(open(inside(1, [1], 1, 2)), 'GRANARY_UNSUPPORTED')
})

t.test('a sealed box can be of any suite', async t => {
  const key = seededBytes(32, 11)
  const box = sealBox(key, text('a'), text('secret'), 'chacha20-poly1305')
  t.equal(box[0], 2)
  t.strictSame(openBox(key, text('a'), box), text('secret'))
})

t.test('key files', async t => {
  const folder = t.testdir()
  const path = join(folder, 'key')
  const key = await createKeyFile(path)
  t.strictSame(new Uint8Array(await readFile(path)), key)
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.strictSame(await readKeyFile(path), { key })
  await t.rejects(createKeyFile(path), { code: 'GRANARY_EXISTS' })
  t.strictSame(new Uint8Array(await readFile(path)), key, 'left as it was')

  await chmod(path, 0o644)
  const loose = await readKeyFile(path)
  t.strictSame(loose.key, key)
  t.match(loose.warning, /mode 0644.*chmod 600/)

  await symlink(join(folder, 'elsewhere'), join(folder, 'link'))
  await t.rejects(createKeyFile(join(folder, 'link')), { code: 'GRANARY_EXISTS' })
  await t.rejects(createKeyFile(join(folder, 'no', 'key')), { code: 'GRANARY_NOT_FOUND' })
  await t.rejects(readKeyFile(join(folder, 'nothing')), { code: 'GRANARY_NOT_FOUND' })
  mkdirSync(join(folder, 'directory'))
  await t.rejects(readKeyFile(join(folder, 'directory')), { code: 'GRANARY_IO' })
})

t.test('a key file of another length says what to do', async t => {
  const folder = t.testdir()
  for (const [name, bytes, got] of [
    ['empty', '', '0'],
    ['short', 'x'.repeat(31), '31'],
    ['with a line end', `${'x'.repeat(32)}\n`, 'more than 32'],
    ['hexadecimal', '00'.repeat(32), 'more than 32'],
  ] as const) {
    await writeFile(join(folder, name), bytes, { mode: 0o600 })
    await t.rejects(readKeyFile(join(folder, name)), {
      code: 'GRANARY_INVALID_ARGUMENT',
      detail: { expected: 32, got },
      hint: /exactly 32 raw bytes/,
    })
  }
})

t.test(
  'a file without end is not read to its end',
  { skip: process.platform === 'win32' && 'no /dev/zero here' },
  async t => {
    await t.rejects(readKeyFile('/dev/zero'), { code: 'GRANARY_INVALID_ARGUMENT', detail: { got: 'more than 32' } })
  },
)

const disk = mkdtempSync(join(tmpdir(), 'granary-full-disk-'))
const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', disk]).status === 0
t.teardown(() => {
  if (isMounted) spawnSync('umount', [disk])
  rmSync(disk, { recursive: true })
})

t.test(
  'a full disk keeps no half of a key file',
  isMounted ? {} : { skip: 'no tmpfs can be mounted here' },
  async t => {
    await writeFile(join(disk, 'filler'), new Uint8Array(4096))
    await t.rejects(createKeyFile(join(disk, 'key')), { code: 'GRANARY_NO_SPACE' })
    t.strictSame(await readdir(disk), ['filler'])
  },
)

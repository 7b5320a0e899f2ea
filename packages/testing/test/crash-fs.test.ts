import t from 'tap'
import type { Bytes } from '@granary/core'
import type { FileSystemPort } from '@granary/dedup-store'
import { crashFileSystem, seededBytes } from '@granary/testing'
import type { CrashFileSystem } from '@granary/testing'

const content = seededBytes(2000, 1)

const writeFile = async (
  fs: FileSystemPort,
  path: string,
  bytes: Bytes,
  { sync }: { sync: boolean },
): Promise<void> => {
  const file = await fs.create(path)
  await file.write(bytes.subarray(0, 700), 0)
  await file.write(bytes.subarray(700), 700)
  if (sync) await file.sync()
  await file.close()
}

const readFile = async (fs: FileSystemPort, path: string): Promise<string | undefined> => {
  try {
    const file = await fs.open(path)
    const bytes = new Uint8Array((await file.stat()).sizeBytes)
    await file.read(bytes, 0)
    return Buffer.from(bytes).toString('hex')
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined
    throw error
  }
}

/** How often each state of a path was seen over many power cuts after the last operation. */
const survey = async (fs: CrashFileSystem, ...paths: string[]): Promise<Map<string, number>> => {
  const seen = new Map<string, number>()
  for (let seed = 0; seed < 200; seed++) {
    const after = fs.crashAt(fs.operations.length, seed)
    const states = await Promise.all(
      paths.map(async path => {
        const found = await readFile(after, path)
        if (found === undefined) return 'gone'
        if (found === hex) return 'whole'
        if (found === '') return 'empty'
        if (/^0+$/.test(found)) return 'zeros'
        return hex.startsWith(found) ? 'prefix' : 'torn'
      }),
    )
    const state = states.join('+')
    seen.set(state, (seen.get(state) ?? 0) + 1)
  }
  return seen
}
const hex = Buffer.from(content).toString('hex')
const statesOf = (seen: Map<string, number>): string[] => [...seen.keys()].toSorted()

t.test('behaves as a file system while it has power', async t => {
  const fs = crashFileSystem()
  await fs.createFolder('/a')
  await writeFile(fs, '/a/x', content, { sync: false })
  t.equal(await readFile(fs, '/a/x'), hex)
  await fs.link('/a/x', '/a/y')
  t.equal((await fs.stat('/a/x')).identity, (await fs.stat('/a/y')).identity)
  await fs.rename('/a/x', '/a/z')
  t.same((await fs.readFolder('/a')).map(({ name }) => name).toSorted(), ['y', 'z'])
  await fs.unlink('/a/y')
  t.equal(await readFile(fs, '/a/z'), hex)
  t.same(await fs.stat('/a/z'), { kind: 'file', sizeBytes: 2000, identity: '1' })
  const file = await fs.open('/a/z')
  const middle = new Uint8Array(100)
  t.equal(await file.read(middle, 650), 100)
  t.same(Buffer.from(middle), Buffer.from(content.subarray(650, 750)))
  t.equal(await file.read(middle, 1950), 50)
  t.equal(await file.read(middle, 5000), 0)
})

t.test('refuses what a file system refuses', async t => {
  const fs = crashFileSystem()
  await fs.createFolder('/a')
  await writeFile(fs, '/a/x', content, { sync: true })
  await writeFile(fs, '/a/y', content, { sync: true })
  const { length } = fs.operations
  await t.rejects(fs.create('/a/x'), { code: 'EEXIST' })
  await t.rejects(fs.create('/b/x'), { code: 'ENOENT' })
  await t.rejects(fs.createFolder('/a'), { code: 'EEXIST' })
  await t.rejects(fs.link('/a/x', '/a/y'), { code: 'EEXIST' })
  await t.rejects(fs.link('/a/none', '/a/z'), { code: 'ENOENT' })
  await t.rejects(fs.rename('/a/none', '/a/z'), { code: 'ENOENT' })
  await t.rejects(fs.unlink('/a/none'), { code: 'ENOENT' })
  await t.rejects(fs.unlink('/a'), { code: 'EISDIR' })
  await t.rejects(fs.open('/a/none'), { code: 'ENOENT' })
  await t.rejects(fs.stat('/none'), { code: 'ENOENT' })
  await t.rejects(fs.readFolder('/a/x'), { code: 'ENOTDIR' })
  await t.rejects(fs.syncFolder('/none'), { code: 'ENOENT' })
  t.equal(fs.operations.length, length, 'and records none of it')
  t.throws(() => fs.crashAt(length + 1, 0), RangeError)
})

t.test('what was synced, bytes and name, survives every power cut', async t => {
  const fs = crashFileSystem()
  await writeFile(fs, '/x', content, { sync: true })
  await fs.syncFolder('/')
  t.same(statesOf(await survey(fs, '/x')), ['whole'])
})

t.test('a name without fsync of its folder may be lost, and never shows half a synced file', async t => {
  const fs = crashFileSystem()
  await writeFile(fs, '/x', content, { sync: true })
  t.same(statesOf(await survey(fs, '/x')), ['gone', 'whole'])
})

t.test('bytes without fsync may be lost, torn, zero or whole', async t => {
  const fs = crashFileSystem()
  await writeFile(fs, '/x', content, { sync: false })
  await fs.syncFolder('/')
  t.same(statesOf(await survey(fs, '/x')), ['empty', 'prefix', 'torn', 'whole', 'zeros'])
})

t.test('what was written after an fsync does not endanger what was before', async t => {
  const fs = crashFileSystem()
  const file = await fs.create('/x')
  await fs.syncFolder('/')
  await file.write(content, 0)
  await file.sync()
  await file.write(content, 2000)
  for (let seed = 0; seed < 100; seed++) t.ok((await readFile(fs.crashAt(5, seed), '/x'))?.startsWith(hex))
})

t.test(
  'a rename without fsync of the folder: the old name, the new one, or for a while both; never neither',
  async t => {
    const fs = crashFileSystem()
    await writeFile(fs, '/x', content, { sync: true })
    await fs.syncFolder('/')
    await fs.rename('/x', '/y')
    t.same(statesOf(await survey(fs, '/x', '/y')), ['gone+whole', 'whole+gone', 'whole+whole'])
    await fs.syncFolder('/')
    t.same(statesOf(await survey(fs, '/x', '/y')), ['gone+whole'])
  },
)

t.test('unsynced changes of names are reordered', async t => {
  const fs = crashFileSystem()
  await writeFile(fs, '/x', content, { sync: true })
  await writeFile(fs, '/y', content, { sync: true })
  t.same(statesOf(await survey(fs, '/x', '/y')), ['gone+gone', 'gone+whole', 'whole+gone', 'whole+whole'])
})

t.test('an unlink may come undone, and a folder may be lost with all that was synced in it', async t => {
  const fs = crashFileSystem()
  await writeFile(fs, '/x', content, { sync: true })
  await fs.syncFolder('/')
  await fs.unlink('/x')
  await fs.createFolder('/f')
  await writeFile(fs, '/f/y', content, { sync: true })
  await fs.syncFolder('/f')
  t.same(statesOf(await survey(fs, '/x', '/f/y')), ['gone+gone', 'gone+whole', 'whole+gone', 'whole+whole'])
})

t.test('the same cut with the same seed leaves the same, in any order of asking', async t => {
  const fs = crashFileSystem()
  for (let i = 0; i < 10; i++) await writeFile(fs, `/x${i}`, content, { sync: i % 2 === 0 })
  const dump = async (at: number, seed: number): Promise<string> => {
    const after = fs.crashAt(at, seed)
    const names = (await after.readFolder('/')).map(({ name }) => name)
    return JSON.stringify(await Promise.all(names.map(async name => [name, await readFile(after, `/${name}`)])))
  }
  const first = await Promise.all([12, 20, 30].map(async at => await dump(at, 9)))
  const second = await Promise.all([30, 20, 12].map(async at => await dump(at, 9)))
  t.same(first, second.toReversed())
  t.not(await dump(30, 9), await dump(30, 10))
})

t.test('goes on after a power cut, and may lose power again', async t => {
  const fs = crashFileSystem()
  await writeFile(fs, '/x', content, { sync: true })
  await fs.syncFolder('/')
  await writeFile(fs, '/y', content, { sync: true })
  const after = fs.crashAt(fs.operations.length, 1)
  t.equal(after.operations.length, 0)
  await after.rename('/x', '/z')
  t.equal(await readFile(after.crashAt(1, 0), '/x'), hex)
  t.equal(await readFile(after.crashAt(1, 1), '/z'), hex)
  t.equal(await readFile(after.crashAt(0, 0), '/y'), hex, 'what the first cut left is there for good')
  t.equal(await readFile(fs, '/x'), hex, 'the file system it came from is untouched')
})

t.test('locks end with their process, and with the power', async t => {
  const fs = crashFileSystem()
  const process = fs.process()
  t.equal(await fs.isLocked('/l'), undefined)
  const held = await process.lock('/l')
  t.equal(await fs.isLocked('/l'), true)
  await t.rejects(fs.lock('/l'), { code: 'EAGAIN' })
  t.equal(await fs.crashAt(1, 1).isLocked('/l'), false)
  process.kill()
  t.equal(await fs.isLocked('/l'), false)
  await held?.[Symbol.asyncDispose]()
  t.equal(await fs.isLocked('/l'), false, 'a dead process releases nothing')
  const again = await fs.lock('/l')
  await again?.[Symbol.asyncDispose]()
  t.equal(await fs.isLocked('/l'), undefined)
})

t.test('a change can be made to fail before it happens', async t => {
  const fs = crashFileSystem({
    before: ({ kind }) => {
      if (kind === 'write') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    },
  })
  await t.rejects(writeFile(fs, '/x', content, { sync: true }), { code: 'ENOSPC' })
  t.equal(await readFile(fs, '/x'), '')
})

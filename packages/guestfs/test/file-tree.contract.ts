/** What every `FileTree` must do. A new file system's test is one call of this. @module */
import t from 'tap'
import { bytesOfName } from '../src/index.ts'
import type { FileTree, WalkItem } from '../src/index.ts'
import { seededRandom } from '@granary/testing'

type EntryItem = Extract<WalkItem, { kind: 'entry' }>

/** Larger files are only read in part. */
const WHOLE_BYTES = 1 << 20

const MAX_LOOKUPS = 300

/** @param open gives a fresh tree that has a directory with files and can be read without errors */
export const fileTreeContract = (name: string, open: () => Promise<FileTree>): void => {
  const withTree = async (run: (tree: FileTree, entries: EntryItem[]) => Promise<void>): Promise<void> => {
    await using tree = await open()
    const entries: EntryItem[] = []
    for await (const item of tree.walk()) {
      if (item.kind === 'error') throw item.error
      entries.push(item)
    }
    await run(tree, entries)
  }

  t.test(`${name}: a walk begins at the root and tells of each directory before what is in it`, async t => {
    await withTree(async (_tree, entries) => {
      t.equal(entries[0]?.path.text, '/')
      const seen = new Set(['/'])
      for (const { path, stat } of entries.slice(1)) {
        const parent = path.text.slice(0, path.text.lastIndexOf('/')) || '/'
        if (!seen.has(parent)) t.fail(`${path.text} came before its directory`)
        if (stat.type === 'dir') seen.add(path.text)
      }
      t.ok(seen.size > 1 && entries.some(({ stat }) => stat.type === 'file'), 'there are directories and files')
    })
  })

  t.test(`${name}: a list and a walk agree, and a lookup finds each path`, async t => {
    await withTree(async (tree, entries) => {
      let listed = 1
      // Looking up is quadratic in large directories: every so many is enough there.
      const step = Math.ceil(entries.length / MAX_LOOKUPS)
      for (const [index, { path, node, stat }] of entries.entries()) {
        const found = index % step === 0 ? await tree.lookup(bytesOfName(path)) : node
        if (found.ino !== node.ino) t.fail(`${path.text}: lookup finds inode ${found.ino} instead of ${node.ino}`)
        if (stat.type === 'dir') for await (const _ of tree.list(node)) listed++
      }
      t.equal(listed, entries.length)
      await t.rejects(tree.lookup('/no such name/at all'), { code: 'GRANARY_NOT_FOUND' })
    })
  })

  t.test(`${name}: files read the same whole and at random, and their extents tell the truth`, async t => {
    await withTree(async (tree, entries) => {
      const random = seededRandom(3)
      for (const { path, node, stat } of entries) {
        if (stat.type !== 'file') continue
        const file = await tree.open(node)
        if (file.sizeBytes !== stat.sizeBytes)
          t.fail(`${path.text}: size ${file.sizeBytes} instead of ${stat.sizeBytes}`)
        const whole = new Uint8Array(Math.min(file.sizeBytes, WHOLE_BYTES))
        await file.read(0, whole)
        for (let i = 0; i < 3; i++) {
          const offset = random(whole.length + 1)
          const part = new Uint8Array(random(whole.length - offset + 1)).fill(0xa5)
          await file.read(offset, part)
          if (Buffer.compare(part, whole.subarray(offset, offset + part.length)) !== 0)
            t.fail(`${path.text}: ${offset}+${part.length} differs`)
        }
        let at = 0
        for await (const { offset, length, kind } of file.extents()) {
          if (offset !== at || length <= 0) t.fail(`${path.text}: extent at ${offset} instead of ${at}`)
          at += length
          if (kind !== 'data' && whole.subarray(offset, offset + length).some(byte => byte !== 0))
            t.fail(`${path.text}: ${kind} at ${offset} has data`)
        }
        if (at !== file.sizeBytes) t.fail(`${path.text}: extents cover ${at} of ${file.sizeBytes}`)
      }
      t.pass(`${entries.length} entries`)
    })
  })

  t.test(`${name}: refuses what a kind of file can't give`, async t => {
    await withTree(async (tree, entries) => {
      const file = entries.find(({ stat }) => stat.type === 'file') as EntryItem
      const code = { code: 'GRANARY_INVALID_ARGUMENT' }
      await t.rejects(tree.open(tree.root), code)
      await t.rejects(tree.readlink(file.node), code)
      await t.rejects(tree.list(file.node)[Symbol.asyncIterator]().next(), code)
      const content = await tree.open(file.node)
      await t.rejects(content.read(content.sizeBytes, new Uint8Array(1)), code)
      await t.rejects(tree.open(file.node, { stream: 'no such stream' }), { code: 'GRANARY_NOT_FOUND' })
    })
  })

  t.test(`${name}: an aborted signal ends everything with its reason`, async t => {
    await withTree(async (tree, entries) => {
      const file = entries.find(({ stat }) => stat.type === 'file' && stat.sizeBytes > 0) as EntryItem
      const signal = AbortSignal.abort(new Error('stop'))
      const message = { message: 'stop' }
      await t.rejects(tree.list(tree.root, { signal })[Symbol.asyncIterator]().next(), message)
      await t.rejects(tree.walk({ signal })[Symbol.asyncIterator]().next(), message)
      await t.rejects(tree.lookup(bytesOfName(file.path), { signal }), message)
      await t.rejects((await tree.open(file.node)).read(0, new Uint8Array(1), { signal }), message)
    })
  })

  t.test(`${name}: closing twice is harmless`, async t => {
    const tree = await open()
    await tree[Symbol.asyncDispose]()
    await t.resolves(async () => await tree[Symbol.asyncDispose]())
  })
}

/** What every `Backend` must do. A new backend's test is one call of this. @module */
import t from 'tap'
import type { Test } from 'tap'
import type { Bytes } from '@granary/core'
import type { Backend, ObjectInfo } from '@granary/dedup-store'
import { seededBytes, seededRandom } from './random-bytes.ts'

export interface BackendContractOptions {
  /** Objects of the long listing. @default 10000 */
  readonly objects?: number
}

const REFUSED = { code: 'GRANARY_INVALID_ARGUMENT' }
const MISSING = { code: 'GRANARY_NOT_FOUND' }
const TRUNCATED = { code: 'GRANARY_CORRUPT' }

/** @param open gives a fresh, empty, probed storage, and a way to open it once more, as another process would */
export const backendContract = (
  name: string,
  open: () => Promise<{ backend: Backend; again: () => Backend }>,
  { objects = 10_000 }: BackendContractOptions = {},
): void => {
  const test = (title: string, body: (t: Test, backend: Backend, again: () => Backend) => Promise<void>): void => {
    t.test(`${name}: ${title}`, async t => {
      const { backend, again } = await open()
      await body(t, backend, again)
      await backend[Symbol.asyncDispose]()
    })
  }

  test('gives back what was put, whole and in ranges', async (t, backend, again) => {
    const random = seededRandom(1)
    for (const sizeBytes of [0, 1, 4095, 4096, 300_000]) {
      const key = `packs/ab-${sizeBytes}`
      const content = seededBytes(sizeBytes, sizeBytes)
      t.equal(await backend.put(key, content, { owner: 's-1' }), 'stored')
      t.same(await backend.stat(key), { key, sizeBytes })
      for (const reader of [backend, again()]) {
        t.ok(isEqual(await reader.get(key), content), `${key} whole`)
        for (let i = 0; i < 20; i++) {
          const offset = random(sizeBytes + 1)
          const length = random(sizeBytes - offset + 1)
          if (!isEqual(await reader.get(key, { offset, length }), content.subarray(offset, offset + length)))
            t.fail(`${key} ${offset}+${length}`)
        }
        t.ok(isEqual(await reader.get(key, { offset: sizeBytes >> 1 }), content.subarray(sizeBytes >> 1)), 'to the end')
      }
    }
  })

  test('names what is missing, truncated or no range', async (t, backend) => {
    await backend.put('index/a', seededBytes(100, 1))
    await t.rejects(backend.get('index/b'), MISSING)
    await t.rejects(backend.get('nowhere/b', { offset: 5, length: 5 }), MISSING)
    await t.rejects(backend.get('index'), MISSING, 'a folder is no object')
    t.equal(await backend.stat('index/b'), undefined)
    t.equal(await backend.stat('index'), undefined)
    await t.rejects(backend.get('index/a', { offset: 60, length: 41 }), TRUNCATED)
    await t.rejects(backend.get('index/a', { offset: 101 }), TRUNCATED)
    await t.rejects(backend.get('index/a', { offset: -1 }), REFUSED)
    await t.rejects(backend.get('index/a', { length: 0.5 }), REFUSED)
    t.equal((await backend.get('index/a', { offset: 100 })).length, 0)
  })

  test('streams content of any shape', async (t, backend) => {
    const content = seededBytes(200_001, 2)
    const parts = [
      content.subarray(0, 1),
      content.subarray(1, 1),
      content.subarray(1, 70_000),
      content.subarray(70_000),
    ]
    const shared = new Uint8Array(new SharedArrayBuffer(content.length))
    shared.set(content)
    const reused = async function* (): AsyncGenerator<Bytes> {
      const window = Buffer.alloc(1000)
      for (let at = 0; at < content.length; at += window.length) {
        const length = Math.min(window.length, content.length - at)
        window.set(content.subarray(at, at + length))
        yield window.subarray(0, length)
      }
    }
    await backend.put('a/iterable', parts)
    await backend.put('a/buffer', Buffer.from(content))
    await backend.put('a/reused', reused())
    await backend.put('a/shared', shared)
    await backend.put('a/none', [])
    for (const key of ['a/iterable', 'a/buffer', 'a/reused', 'a/shared'])
      t.ok(isEqual(await backend.get(key), content), key)
    t.equal((await backend.get('a/none')).length, 0)
  })

  test('owns what it was given and gives away what it returns', async (t, backend) => {
    const content = seededBytes(5000, 3)
    const given = Buffer.from(content)
    await backend.put('a/b', given)
    given.fill(0)
    const got = await backend.get('a/b')
    t.ok(isEqual(got, content))
    t.not(got instanceof Buffer, true, 'plain bytes')
    got.fill(1)
    t.ok(isEqual(await backend.get('a/b'), content))
  })

  test('replaces, unless told not to', async (t, backend, again) => {
    const [first, second, third] = [1, 2, 3].map(seed => seededBytes(1000 * seed, seed)) as [Bytes, Bytes, Bytes]
    t.equal(await backend.put('sessions/a.hb', first), 'stored')
    t.equal(await backend.put('sessions/a.hb', second), 'stored')
    t.ok(isEqual(await again().get('sessions/a.hb'), second))
    t.equal(await backend.put('sessions/a.hb', third, { ifAbsent: true }), 'exists')
    t.ok(isEqual(await again().get('sessions/a.hb'), second))
    t.equal(await backend.put('commit/a', first, { ifAbsent: true, durable: false }), 'stored')
    t.equal(await backend.put('commit/a', first, { ifAbsent: true }), 'exists', 'also with equal content')
  })

  test('lets exactly one of a hundred win a decision', async (t, backend, again) => {
    const backends = [backend, again(), again()]
    for (const key of ['commit/x', 'gc/1/claim', 'packs/zz-1']) {
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const result = await (backends[i % 3] as Backend).put(key, [Buffer.from(`${i}`)], {
            ifAbsent: true,
            owner: `s${i}`,
          })
          const seen = Buffer.from(await (backends[(i + 1) % 3] as Backend).get(key)).toString()
          return { i, result, seen }
        }),
      )
      const winners = outcomes.filter(({ result }) => result === 'stored')
      t.equal(winners.length, 1, key)
      t.ok(
        outcomes.every(({ seen }) => seen === `${winners[0]?.i}`),
        'and all see its content',
      )
    }
  })

  test('shows no half of an object that is being replaced', async (t, backend, again) => {
    const versions = [seededBytes(40_000, 1), seededBytes(50_000, 2)] as const
    await backend.put('a/b', versions[0])
    const reader = again()
    const writing = (async () => {
      for (let i = 0; i < 30; i++) await backend.put('a/b', versions[i % 2] as Bytes)
    })()
    for (let i = 0; i < 60; i++) {
      const got = await reader.get('a/b')
      if (!versions.some(version => isEqual(version, got))) t.fail('torn')
    }
    await writing
    t.pass()
  })

  test('deletes, and deletes again', async (t, backend, again) => {
    await backend.put('packs/a-1', Buffer.from('x'))
    await backend.delete('packs/a-1')
    await t.resolves(again().delete('packs/a-1'))
    await t.resolves(backend.delete('never/was'))
    t.equal(await backend.stat('packs/a-1'), undefined)
    t.same(await collect(backend.list('')), [])
    t.equal(await backend.put('packs/a-1', Buffer.from('y'), { ifAbsent: true }), 'stored', 'the key is free again')
  })

  test('has nothing of a put whose source fails or which is aborted', async (t, backend, again) => {
    await backend.put('a/kept', Buffer.from('before'))
    const failing = async function* (): AsyncGenerator<Bytes> {
      yield seededBytes(10_000, 1)
      throw new Error('source broke')
    }
    for (const ifAbsent of [false, true])
      for (const key of ['a/kept', 'a/new'])
        await t.rejects(backend.put(key, failing(), { ifAbsent }), { message: 'source broke' })
    const controller = new AbortController()
    let isClosed = false
    const aborting = async function* (): AsyncGenerator<Bytes> {
      try {
        yield seededBytes(10_000, 1)
        controller.abort(new Error('stop'))
        yield seededBytes(10_000, 2)
      } finally {
        isClosed = true
      }
    }
    await t.rejects(backend.put('a/new', aborting(), { signal: controller.signal }), { message: 'stop' })
    t.ok(isClosed, 'the source was closed')
    const { signal } = controller
    await t.rejects(backend.put('a/new', Buffer.from('x'), { signal }), { message: 'stop' })
    await t.rejects(backend.get('a/kept', { signal }), { message: 'stop' })
    await t.rejects(backend.stat('a/kept', { signal }), { message: 'stop' })
    await t.rejects(backend.delete('a/kept', { signal }), { message: 'stop' })
    await t.rejects(collect(backend.list('', { signal })), { message: 'stop' })
    await t.rejects(backend.sync({ signal }), { message: 'stop' })
    t.same(await collect(again().list('')), [{ key: 'a/kept', sizeBytes: 6 }])
    t.equal(Buffer.from(await backend.get('a/kept')).toString(), 'before')
    if (backend.sweep) t.equal(await backend.sweep(async () => false), 0, 'nor is a temporary file left')
  })

  test('refuses malformed keys, prefixes and owners', async (t, backend) => {
    const bad = [
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      '.',
      '..',
      'a/../b',
      'a/./b',
      '.hidden',
      'a/.tmp-x',
      'A',
      'a b',
      'a\0',
      'a\n',
      'ä',
      'a\\b',
      'a_b',
    ]
    for (const key of [...bad, 'a'.repeat(201)]) {
      await t.rejects(backend.put(key, Buffer.from('x')), REFUSED, JSON.stringify(key))
      await t.rejects(backend.get(key), REFUSED)
      await t.rejects(backend.stat(key), REFUSED)
      await t.rejects(backend.delete(key), REFUSED)
    }
    for (const prefix of ['/', '..', '../', 'a//', 'A', '.x'])
      await t.rejects(collect(backend.list(prefix)), REFUSED, prefix)
    for (const owner of ['A', '../x', 'a/b', 'a.b', 'x'.repeat(65)])
      await t.rejects(backend.put('a/b', Buffer.from('x'), { owner }), REFUSED, owner)
    const longest = `${'a'.repeat(99)}/${'b'.repeat(100)}`
    t.equal(await backend.put(longest, Buffer.from('x'), { owner: 'o'.repeat(64) }), 'stored')
    t.same(await collect(backend.list('')), [{ key: longest, sizeBytes: 1 }])
  })

  test('lists by any prefix in the order of keys', async (t, backend, again) => {
    const keys = [
      'config',
      'a',
      'a-b',
      'a.b',
      'a0',
      'ab/c',
      'ab-c',
      'ab.c',
      'ab0',
      'commit/1',
      'commit/10',
      'commit/2.hb',
      'gc/1/claim',
      'gc/1/del',
      'gc/10/claim',
      'gc/1-',
      'packs/a',
      'packs/a-',
      'packs/a0',
      'packs/ab',
      'packs/ab-1',
      'packs/ab.x',
      'packs/abc/d',
      'packs/abc-d',
      'packs/b/c',
      'packs/b-c',
      'packs/b0',
      'packs/bb/c',
      'packs/bb-c',
      'packs.a',
      'packs-a',
      'packs0',
      'index/x/y/z',
      'index/x-y',
      'index/x/y-z',
    ]
    for (const key of keys) await backend.put(key, Buffer.from(key))
    const sorted = keys.toSorted()
    const prefixes = new Set([
      '',
      'zz',
      'zz/',
      'packs/',
      'packs/a/',
      'packs/ab/',
      ...keys.flatMap(key => Array.from(key, (_, i) => key.slice(0, i + 1))),
    ])
    for (const prefix of prefixes) {
      if (/(?:^|\/)\.?$/.test(prefix) && prefix.endsWith('.')) continue
      const wanted = sorted.filter(key => key.startsWith(prefix)).map(key => ({ key, sizeBytes: key.length }))
      const found = await collect(again().list(prefix))
      if (JSON.stringify(found) !== JSON.stringify(wanted)) t.same(found, wanted, `prefix ${prefix}`)
    }
    t.same(
      (await collect(backend.list(''))).map(({ key }) => key),
      sorted,
    )
  })

  test('may be listed in part, and while it changes', async (t, backend) => {
    for (let i = 0; i < 20; i++) await backend.put(`packs/${i + 10}-x`, Buffer.from('x'))
    const seen: string[] = []
    for await (const { key } of backend.list('packs/')) {
      seen.push(key)
      await backend.put(`packs/${seen.length + 9}-x`, Buffer.from('longer'))
      await backend.delete('packs/29-x')
      if (seen.length === 10) break
    }
    t.same(
      seen,
      Array.from({ length: 10 }, (_, i) => `packs/${i + 10}-x`),
    )
    t.equal((await collect(backend.list('packs/'))).length, 19)
  })

  test(`lists ${objects} objects`, async (t, backend, again) => {
    const keys = Array.from(
      { length: objects },
      (_, i) => `packs/${((i * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0')}-${i}`,
    )
    const queue = keys.values()
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (const key of queue) await backend.put(key, Buffer.from('x'), { durable: false })
      }),
    )
    await backend.sync()
    const found = await collect(again().list('packs/'))
    t.same(found.map(({ key }) => key).join('\n'), keys.toSorted().join('\n'))
  })

  test('syncs many times at once', async (t, backend) => {
    for (let i = 0; i < 5; i++) {
      await backend.put(`packs/${i}${i}-x`, Buffer.from('x'), { durable: false })
      await Promise.all([backend.sync(), backend.sync()])
    }
    await t.resolves(backend.sync())
  })

  test('tells the living from the dead, where it can', async (t, backend, again) => {
    if (!backend.hold || !backend.isHeld) {
      t.pass('it cannot')
      return
    }
    t.equal(await backend.isHeld('s-1'), undefined, 'never held')
    const held = await backend.hold('s-1')
    const other = again()
    const isHeld = await other.isHeld?.('s-1')
    if (isHeld === undefined) t.comment('no locks on this machine')
    else {
      t.equal(isHeld, true)
      await t.rejects(Promise.resolve(other.hold?.('s-1')), { code: 'GRANARY_LOCKED' })
    }
    await held[Symbol.asyncDispose]()
    await t.resolves(async () => await held[Symbol.asyncDispose](), 'twice')
    t.not(await other.isHeld?.('s-1'), true)
    await (await backend.hold('s-1'))[Symbol.asyncDispose]()
    await t.rejects(backend.hold(''), REFUSED)
    await t.rejects(backend.isHeld('../x'), REFUSED)
    t.same(await collect(backend.list('')), [], 'holding is no object')
  })
}

const isEqual = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0

const collect = async (items: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> => {
  const all: ObjectInfo[] = []
  for await (const item of items) all.push(item)
  return all
}

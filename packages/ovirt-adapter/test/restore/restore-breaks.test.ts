/** What becomes of a restore that breaks off: it is taken back, or waits to be resumed. */
import t from 'tap'
import { isGranaryError } from '@granary/core'
import type { DiskReader } from '@granary/core'
import { findBrokenRestore, restoreMachine, resumeRestore } from '../../src/index.ts'
import type { Journal, ReadableSource } from '../../src/index.ts'
import {
  GIB,
  MIB,
  NOTHING_LEFT,
  abortAt,
  addMachine,
  compare,
  openSite,
  recoverIn,
  sourceOf,
  vmNames,
} from './restore-site.ts'
import type { RestoreSite } from './restore-site.ts'

t.test('whoever leaves before the first byte leaves nothing behind', async t => {
  await using site = await openSite()
  const source = await sourceOf(site, await addMachine(site))
  const from = site.simulator.requests.length
  {
    await using journal = await site.openJournal()
    await restoreMachine(site.context(journal), source, await site.plan(source, { name: 'whole' }))
  }
  const count = site.simulator.requests.slice(from).findIndex(({ url }) => url.includes('/imagetransfers')) - 5
  t.ok(count > 5)
  for (let after = 1; after < count; after += 3) {
    const controller = new AbortController()
    const plan = await site.plan(source, { name: 'left' })
    const limit = site.simulator.requests.length + after
    const watch = setInterval(() => site.simulator.requests.length >= limit && controller.abort(new Error('left')), 1)
    await using journal = await site.openJournal()
    const outcome = await restoreMachine(site.context(journal), source, plan, { signal: controller.signal }).catch(
      (error: Error) => error.message,
    )
    clearInterval(watch)
    if (typeof outcome === 'string') {
      t.same(
        journal.pending.filter(({ facts }) => facts['hasData'] !== true),
        [],
        outcome,
      )
      t.same(
        (await vmNames(site)).filter(name => name === 'left'),
        journal.pending.length === 0 ? [] : ['left'],
      )
    } else await site.engine.remove(`/vms/${outcome.vmId ?? ''}`)
    if (journal.pending.length === 0) t.match(site.simulator.state(), NOTHING_LEFT)
    else {
      await journal[Symbol.asyncDispose]()
      await using next = await site.openJournal()
      await recoverIn(site, next, { removesResumable: true })
      t.match(site.simulator.state(), NOTHING_LEFT)
    }
  }
})

t.test('after the first byte it is kept: told by the next start, resumed, or cleaned', async t => {
  await using site = await openSite()
  const source = await sourceOf(site, await addMachine(site))
  const breakOff = async (name: string): Promise<string> => {
    await using journal = await site.openJournal()
    const { signal, onEvent } = abortAt(1)
    const context = site.context(journal, { onEvent })
    await t.rejects(restoreMachine(context, source, await site.plan(source, { name }), { signal }), {
      message: /the caller left/,
    })
    t.match(journal.pending, [{ kind: 'restore', facts: { hasData: true } }])
    return String(journal.pending[0]?.facts['restore'])
  }
  const id = await breakOff('resumed')
  {
    await using next = await site.openJournal()
    const [told] = await recoverIn(site, next)
    t.match(told?.outcome, { kind: 'left', hint: new RegExp(`--resume ${id}`) })
    t.match(site.simulator.state().openTransfers.length, 2, 'nothing is touched')
    await t.rejects(findBrokenRestore(next, 'ffff'), { code: 'GRANARY_NOT_FOUND', detail: { known: id } })
  }
  {
    await site.simulator.clock.sleep(3_600_000) // Long enough for tickets to run out and transfers to pause.
    await using next = await site.openJournal()
    await using broken = await findBrokenRestore(next, id.slice(0, 4))
    t.equal(broken.snapshotId, source.snapshotId)
    await t.rejects(resumeRestore(site.context(next), { ...source, snapshotId: 'other' }, broken.entry), {
      code: 'GRANARY_INVALID_ARGUMENT',
    })
    const report = await resumeRestore(site.context(next), source, broken.entry)
    t.equal(report.name, 'resumed')
    await compare(t, site, source, report)
  }
  await breakOff('cleaned')
  {
    await using next = await site.openJournal()
    t.match(await recoverIn(site, next, { removesResumable: true, isDry: true }), [{ outcome: { kind: 'undone' } }])
    t.ok((await vmNames(site)).includes('cleaned'), 'looking changes nothing')
  }
  {
    await using next = await site.openJournal()
    t.match(await recoverIn(site, next, { removesResumable: true }), [{ outcome: { kind: 'undone' } }])
    t.notOk((await vmNames(site)).includes('cleaned'))
    t.match(site.simulator.state(), NOTHING_LEFT)
  }
  await breakOff('old')
  {
    await site.simulator.clock.sleep(7_200_000)
    await using next = await site.openJournal()
    t.match(await recoverIn(site, next), [{ outcome: { kind: 'left' } }])
  }
  {
    await using next = await site.openJournal()
    const recovered = await recoverIn(site, next, { ageLimitMs: 3_600_000 })
    t.match(recovered, [{ outcome: { kind: 'undone' } }], 'the age limit removes it')
    t.match(site.simulator.state(), NOTHING_LEFT)
    t.same(await recoverIn(site, next), [])
  }
})

/** Three gibibytes with a little data in each: too much to keep in memory. */
const largeDisk = (): DiskReader => {
  const places = [0, 1, 2].map(n => n * GIB + 65_536)
  const sizeBytes = 3 * GIB
  return {
    sizeBytes,
    blockBytes: 4096,
    async read(offset, target) {
      target.fill(0)
      for (const at of places) {
        const start = Math.max(at, offset)
        const end = Math.min(at + MIB, offset + target.length)
        if (start < end) target.fill(7, start - offset, end - offset)
      }
    },
    async *extents({ offset = 0, length = sizeBytes - offset } = {}) {
      let at = offset
      for (const place of places) {
        if (place + MIB <= at || place >= offset + length) continue
        if (place > at) yield { offset: at, length: place - at, kind: 'hole' as const }
        yield { offset: place, length: MIB, kind: 'data' as const }
        at = place + MIB
      }
      if (at < offset + length) yield { offset: at, length: offset + length - at, kind: 'hole' as const }
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

t.test('a resumed restore sends what lies behind the last flush, and no more', async t => {
  await using site = await openSite()
  const { record } = await sourceOf(site, await addMachine(site, { disks: [{ alias: 'large' }] }))
  const source: ReadableSource = {
    snapshotId: 'large',
    record,
    disks: [{ name: 'large', sizeBytes: 3 * GIB, requiredBytes: 5 * MIB }],
    openDisk: async () => largeDisk(),
  }
  const written: number[] = []
  const counting = (journal: Journal): ReturnType<RestoreSite['context']> => {
    const context = site.context(journal)
    return {
      ...context,
      async openUpload(options) {
        const disk = await context.openUpload(options)
        const write = disk.write.bind(disk)
        disk.write = async (offset, bytes, writeOptions) => {
          written.push(offset)
          await write(offset, bytes, writeOptions)
        }
        return disk
      },
    }
  }
  let id = ''
  {
    await using journal = await site.openJournal()
    const { signal, onEvent } = abortAt(2 * GIB + 1)
    const failure = restoreMachine({ ...counting(journal), onEvent }, source, await site.plan(source), { signal })
    await t.rejects(failure, { message: /the caller left/ })
    t.equal(journal.pending[0]?.facts['disk0.watermark'], 2 * GIB)
    id = String(journal.pending[0]?.facts['restore'])
  }
  written.length = 0
  await using next = await site.openJournal()
  await using broken = await findBrokenRestore(next, id)
  const report = await resumeRestore(counting(next), source, broken.entry)
  t.ok(written.length > 0 && written.every(offset => offset >= 2 * GIB), 'nothing before the watermark')
  const bytes = new Uint8Array(2 * MIB)
  const expected = new Uint8Array(2 * MIB)
  await using disk = largeDisk()
  for (const offset of [0, GIB, 2 * GIB]) {
    await site.simulator.image(report.disks[0]?.id ?? '').read(offset, bytes)
    await disk.read(offset, expected)
    t.equal(Buffer.compare(bytes, expected), 0)
  }
})

t.test(
  "what isn't ours is not touched: a machine of the same name, a disk of the same alias, an upload of somebody else",
  async t => {
    await using site = await openSite()
    const { simulator } = site
    const source = await sourceOf(site, await addMachine(site, { disks: [{ alias: 'a' }] }))
    const foreign = await addMachine(site, { name: 'mine', nics: [], disks: [{ alias: 'a' }], seed: 9 })
    simulator.faults.http.add({ kind: 'refuse', status: 400, detail: 'no', method: 'POST', path: '*/disks', times: 1 })
    await using journal = await site.openJournal()
    const plan = await site.plan(source, { name: 'mine' })
    const error: unknown = await restoreMachine(site.context(journal), source, plan).catch((cause: unknown) => cause)
    t.ok(isGranaryError(error) && error.detail['status'] === 400)
    t.same(await vmNames(site), ['mine', 'web'])
    t.equal(simulator.vm(foreign).attachments.size, 1)
    t.match(simulator.state(), NOTHING_LEFT)
  },
)

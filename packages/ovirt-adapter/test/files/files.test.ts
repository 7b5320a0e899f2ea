/** Files into the CD drive of a machine, against the simulated engine. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { seededBytes } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { attachFiles, ejectFiles, listFiles, recover } from '../../src/index.ts'
import type { FilesChoices, FilesContext, FilesImage, Journal } from '../../src/index.ts'
import { changeCdrom } from '../../src/engine/resources/cdroms.ts'
import { MIB, SETTINGS, addMachine, openSite } from '../restore/restore-site.ts'
import type { RestoreSite } from '../restore/restore-site.ts'

t.setTimeout(600_000)

const BYTES = seededBytes(3 * MIB + 2048, 5)
const image = (bytes: Bytes = BYTES): FilesImage => ({
  sizeBytes: bytes.length,
  async *write() {
    for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
  },
})

const contextOf = (site: RestoreSite, journal: Journal, more: Partial<FilesContext> = {}): FilesContext => ({
  engine: site.engine,
  journal,
  settings: SETTINGS,
  openUpload: site.context(journal).openUpload,
  ...more,
})

const domainName = ({ simulator }: RestoreSite): string => simulator.site.storageDomains[0]?.name ?? ''

/** A machine that runs or not, and what to put files into it with. */
const siteWith = async (
  t: Test,
  status: 'up' | 'down',
): Promise<{ site: RestoreSite; vmId: string; choices: FilesChoices }> => {
  const site = await openSite()
  t.teardown(async () => await site[Symbol.asyncDispose]())
  const vmId = await addMachine(site, { status })
  return { site, vmId, choices: { vm: 'web', storageDomain: domainName(site) } }
}

const discs = ({ simulator }: RestoreSite): readonly string[] => simulator.state().floatingDisks

t.test('a running machine has the files at once, and its drive is as before when they are ejected', async t => {
  const { site, vmId, choices } = await siteWith(t, 'up')
  const steps: string[] = []
  let id = ''
  {
    await using journal = await site.openJournal()
    const context = contextOf(site, journal, { onEvent: event => event.type === 'step' && steps.push(event.step) })
    const { files, warnings } = await attachFiles(context, image(), choices)
    t.match(files, { vmId, vmName: 'web', storageDomain: choices.storageDomain, isAttached: true, isCurrent: true })
    t.strictSame(warnings, [])
    id = files.id
    t.match(site.simulator.vm(vmId).cdrom, { current: files.disc, stored: '' })
    t.match(site.simulator.disk(files.disc).config, {
      content_type: 'iso',
      format: 'raw',
      alias: `granary-files-${id}`,
    })
    const stored = new Uint8Array(BYTES.length)
    await site.simulator.image(files.disc).read(0, stored)
    t.ok(Buffer.from(stored).equals(BYTES), 'to the bit')
  }
  t.strictSame(steps, ['disk', 'upload', 'attach'])
  await using journal = await site.openJournal()
  t.match(
    await recover({ engine: site.engine, journal }),
    [{ outcome: { kind: 'left', hint: new RegExp(`eject ${id}`) } }],
    'a later start leaves them',
  )
  t.match(await listFiles({ engine: site.engine, journal }), [{ id, vmName: 'web' }])
  const { warnings } = await ejectFiles({ engine: site.engine, journal }, id)
  t.strictSame(warnings, [])
  t.match(site.simulator.vm(vmId).cdrom, { current: '', stored: '' })
  t.strictSame(discs(site), [], 'the disk is gone')
  t.strictSame(await listFiles({ engine: site.engine, journal }), [])
  await t.rejects(ejectFiles({ engine: site.engine, journal }, id), { code: 'GRANARY_NOT_FOUND' })
})

t.test('a stopped machine gets them for its next start, with a warning', async t => {
  const { site, vmId, choices } = await siteWith(t, 'down')
  let id = ''
  let disc = ''
  {
    await using journal = await site.openJournal()
    const { files, warnings } = await attachFiles(contextOf(site, journal), image(), choices)
    t.match(warnings, [/next start/])
    ;({ id, disc } = files)
    t.match(site.simulator.vm(vmId).cdrom, { stored: disc })
  }
  await site.engine.act(`/vms/${vmId}/start`, {})
  t.equal(site.simulator.vm(vmId).cdrom.current, disc, 'it was started with them')
  await using journal = await site.openJournal()
  await ejectFiles({ engine: site.engine, journal }, id)
  t.match(site.simulator.vm(vmId).cdrom, { current: '', stored: '' })
  t.strictSame(discs(site), [])
})

t.test('an occupied drive is refused, unless its disc may be replaced; it comes back', async t => {
  const { site, vmId, choices } = await siteWith(t, 'up')
  const other = await site.simulator.inventory.addDisk({
    sizeBytes: MIB,
    storageDomainId: site.simulator.site.storageDomains[0]?.id ?? '',
    format: 'raw',
    contentType: 'iso',
  })
  await changeCdrom(site.engine, vmId, other.id, { isCurrent: true })
  await using journal = await site.openJournal()
  await t.rejects(attachFiles(contextOf(site, journal), image(), choices), {
    code: 'GRANARY_EXISTS',
    hint: /--replace-cd/,
  })
  t.strictSame(journal.pending, [], 'nothing was begun')
  let id = ''
  {
    await using run = await site.openJournal()
    const { files } = await attachFiles(contextOf(site, run), image(), { ...choices, replaceCd: true })
    ;({ id } = files)
    t.equal(site.simulator.vm(vmId).cdrom.current, files.disc)
  }
  await ejectFiles({ engine: site.engine, journal }, id)
  t.equal(site.simulator.vm(vmId).cdrom.current, other.id)
  t.strictSame(discs(site), [other.id])
})

t.test('an ISO domain takes files where it is mounted and writable here; else data domains are named', async t => {
  const { site, vmId, choices } = await siteWith(t, 'up')
  const dataCenterId = site.simulator.site.dataCenterId
  const iso = site.simulator.inventory.addStorageDomain({ name: 'isos', kind: 'iso', dataCenterId })
  const mountRoot = await mkdtemp(join(tmpdir(), 'granary-rhev-'))
  t.teardown(() => rmSync(mountRoot, { recursive: true, force: true }))
  await using journal = await site.openJournal()
  const context = contextOf(site, journal, { mountRoot })
  await t.rejects(attachFiles(context, image(), { ...choices, storageDomain: 'isos' }), {
    code: 'GRANARY_UNSUPPORTED',
    hint: new RegExp(`data domains: .*${domainName(site)}`),
  })
  t.strictSame(journal.pending, [])
  const domain = join(mountRoot, 'mnt', 'server:_isos', iso.id)
  const folder = join(domain, 'images', '11111111-1111-1111-1111-111111111111')
  mkdirSync(join(domain, 'dom_md'), { recursive: true })
  mkdirSync(folder, { recursive: true })
  let id = ''
  {
    await using run = await site.openJournal()
    // The platform looks into the folder; the simulated one is told.
    const seen = {
      ...image(),
      async *write() {
        yield* image().write()
        iso.files.push(...readdirSync(folder).map(name => name.replace(/\.part$/, '')))
      },
    }
    const { files } = await attachFiles(contextOf(site, run, { mountRoot }), seen, {
      ...choices,
      storageDomain: 'isos',
    })
    ;({ id } = files)
    t.equal(files.disc, `granary-${id}.iso`)
    t.equal(site.simulator.vm(vmId).cdrom.current, files.disc)
    t.ok(readFileSync(join(folder, files.disc)).equals(BYTES))
  }
  await ejectFiles({ engine: site.engine, journal }, id)
  t.equal(site.simulator.vm(vmId).cdrom.current, '')
  t.strictSame(readdirSync(folder), [])
})

t.test('what does not fit is refused before anything is made', async t => {
  const { site, choices } = await siteWith(t, 'up')
  const { inventory, site: place } = site.simulator
  const elsewhere = inventory.addDataCenter('other')
  inventory.addStorageDomain({ name: 'far', dataCenterId: elsewhere })
  inventory.addStorageDomain({ name: 'resting', dataCenterId: place.dataCenterId, status: 'maintenance' })
  inventory.addStorageDomain({
    name: 'tiny',
    dataCenterId: place.dataCenterId,
    capacityBytes: 6 * 1024 ** 3,
    criticalGib: 6,
  })
  await using journal = await site.openJournal()
  const { storageDomain: _, ...without } = choices
  for (const [wrong, code, hint] of [
    [{ ...choices, vm: 'nobody' }, 'GRANARY_NOT_FOUND', /ovirt vms/],
    [without, 'GRANARY_INVALID_ARGUMENT', /data domains/],
    [{ ...choices, storageDomain: 'far' }, 'GRANARY_UNSUPPORTED', /data domains/],
    [{ ...choices, storageDomain: 'resting' }, 'GRANARY_UNSUPPORTED', /data domains/],
    [{ ...choices, storageDomain: 'tiny' }, 'GRANARY_NO_SPACE', undefined],
  ] as const) {
    await t.rejects(attachFiles(contextOf(site, journal), image(), wrong), {
      code,
      ...(hint === undefined ? {} : { hint }),
    })
  }
  t.strictSame(journal.pending, [])
  t.strictSame(discs(site), [])
})

t.test('what breaks on the way is put away at once', async t => {
  const { site, vmId, choices } = await siteWith(t, 'up')
  await using journal = await site.openJournal()
  const broken: FilesImage = {
    sizeBytes: BYTES.length,
    async *write() {
      yield BYTES.subarray(0, MIB)
      throw new GranaryError('GRANARY_IO', 'the repository is gone')
    },
  }
  await t.rejects(attachFiles(contextOf(site, journal), broken, choices), {
    code: 'GRANARY_IO',
    message: /repository is gone/,
  })
  t.strictSame(journal.pending, [])
  t.strictSame(discs(site), [])
  t.match(site.simulator.state(), { openTransfers: [], lockedDisks: [] })
  t.equal(site.simulator.vm(vmId).cdrom.current, '')
})

t.test('a run that died before the files were in the drive leaves nothing after the next start', async t => {
  const { site, vmId, choices } = await siteWith(t, 'up')
  {
    // Its engine goes silent for the undo, as if the process were dead: what it began stays in the journal.
    await using journal = await site.openJournal()
    const controller = new AbortController()
    let revive = (): void => undefined
    const context = contextOf(site, journal)
    const dead: FilesContext = {
      ...context,
      openUpload: async () => {
        revive = site.simulator.faults.http.add({ kind: 'refuse', status: 500, detail: '[dead]', times: 10_000 })
        controller.abort(new Error('killed'))
        throw new Error('killed')
      },
    }
    await t.rejects(attachFiles(dead, image(), choices, { signal: controller.signal }))
    t.equal(journal.pending.length, 1)
    revive()
  }
  t.ok(existsSync(site.journalFolder))
  await using journal = await site.openJournal()
  t.match(await recover({ engine: site.engine, journal }), [{ outcome: { kind: 'undone' } }])
  t.strictSame(discs(site), [])
  t.equal(site.simulator.vm(vmId).cdrom.current, '')
})

t.test('a run that died right after the disc went in leaves nothing after the next start', async t => {
  const { site, vmId, choices } = await siteWith(t, 'up')
  const { http } = site.simulator.faults
  const revive: (() => void)[] = []
  {
    await using journal = await site.openJournal()
    const onEvent: FilesContext['onEvent'] = event => {
      if (event.type !== 'step' || event.step !== 'attach') return
      revive.push(http.add({ kind: 'lose-answer', method: 'PUT', path: '*/cdroms/*' }))
      revive.push(http.add({ kind: 'refuse', status: 500, detail: '[dead]', path: '*', after: 1, times: 10_000 }))
    }
    await t.rejects(attachFiles(contextOf(site, journal, { onEvent }), image(), choices))
    t.equal(journal.pending.length, 1)
    t.not(site.simulator.vm(vmId).cdrom.current, '', 'the engine has done what was asked')
  }
  for (const end of revive) end()
  await using journal = await site.openJournal()
  t.match(await recover({ engine: site.engine, journal }), [{ outcome: { kind: 'undone' } }])
  t.equal(site.simulator.vm(vmId).cdrom.current, '')
  t.strictSame(discs(site), [])
})

t.test('files whose time is up are ejected by the next start', async t => {
  const { site, vmId, choices } = await siteWith(t, 'up')
  {
    await using journal = await site.openJournal()
    await attachFiles(contextOf(site, journal), image(), { ...choices, ejectAfterMs: 1000 })
  }
  await site.simulator.clock.sleep(2000)
  await using journal = await site.openJournal()
  t.match(await recover({ engine: site.engine, journal }), [{ outcome: { kind: 'undone' } }])
  t.strictSame(discs(site), [])
  t.equal(site.simulator.vm(vmId).cdrom.current, '')
})

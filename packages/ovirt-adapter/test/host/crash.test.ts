/** `kill -9` of QEMU, of us and of both at every step of a copy: no acknowledged write of the guest is lost, nothing is left. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isGranaryError } from '@granary/core'
import type { GranaryError } from '@granary/core'
import { systemClock } from '@granary/dedup-store'
import t from 'tap'
import type { Test } from 'tap'
import { guestAgent, undoHostIntent } from '../../src/index.ts'
import type { HostStep } from '../../src/index.ts'
import type { CopyProcessOptions, Victim } from './copy-process.ts'
import { fileJournal, unsettled } from './file-journal.ts'
import { startDaemon } from './private-daemon.ts'
import { DOMAIN, createGuest, run, whyNoGuest } from './private-libvirt.ts'

type Method = CopyProcessOptions['method']
interface Blow {
  readonly method: Method
  readonly victim: Victim
  readonly step: HostStep
  readonly afterMs: number
}

const isLong = process.env['GRANARY_TEST_LONG'] !== undefined
t.setTimeout(isLong ? 7_200_000 : 900_000)

const METHODS: readonly Method[] = ['pull', 'overlay']
const STEPS: readonly HostStep[] = ['intend', 'begin', 'open', 'reading', 'end', 'settle']
const COPY_PROCESS = fileURLToPath(new URL('copy-process.js', import.meta.url))

/** Steps that do something on the host: within them, too, the child that freezes, or the commit, is caught in the middle. */
const LASTING: readonly HostStep[] = ['begin', 'end']
const momentsMs = (few: readonly number[], many: number): readonly number[] =>
  isLong ? Array.from({ length: many }, (_, i) => Math.round((600 * (i + 0.5)) / many)) : few

const blows = (victims: readonly Victim[], steps: readonly HostStep[], moments: readonly number[]): Blow[] =>
  METHODS.flatMap(method =>
    victims.flatMap(victim => [
      ...steps.map(step => ({ method, victim, step, afterMs: 0 })),
      ...LASTING.flatMap(step => moments.map(afterMs => ({ method, victim, step, afterMs }))),
    ]),
  )

const OURS = [...blows(['us'], STEPS, momentsMs([30], 10)), ...blows(['all'], [], momentsMs([30], 10))]
/** Each costs a boot of the guest. */
const QEMUS: readonly Blow[] = isLong
  ? blows(['qemu', 'both'], STEPS, momentsMs([], 3))
  : [
      { method: 'pull', victim: 'both', step: 'begin', afterMs: 60 },
      { method: 'overlay', victim: 'both', step: 'reading', afterMs: 0 },
    ]

t.test('after a crash of ours or of QEMU', { skip: whyNoGuest() }, async t => {
  const guest = await createGuest(t)
  const { libvirt, folder, image } = guest
  await guest.start({ isFresh: true })
  await guest.shell('printf "#!/bin/sh\\necho after >> /root/afters" > /root/after.sh; chmod +x /root/after.sh; sync')
  await guest.startWriter()
  const scratch = join(folder, 'scratch')
  mkdirSync(scratch)
  let runs = 0

  /** The next start. Gives back what it could not put away. */
  const undoAll = async (journal: string): Promise<GranaryError[]> => {
    const failures: GranaryError[] = []
    for (const { intent, settle } of unsettled(journal)) {
      try {
        await undoHostIntent(libvirt, intent, { clock: systemClock })
        settle()
      } catch (error) {
        if (!isGranaryError(error)) throw error
        failures.push(error)
      }
    }
    return failures
  }

  const strike = async (
    t: Test,
    { method, victim, step: stopAt, afterMs }: Blow,
  ): Promise<{ what: string; journal: string; noted: number }> => {
    const what = `${method}, ${victim} ended ${afterMs} ms after "${stopAt}"`
    const journal = join(folder, `journal-${++runs}`)
    const noted = join(folder, `noted-${runs}`)
    const options: CopyProcessOptions = {
      ...{ uri: libvirt.uri, domain: DOMAIN, method, victim, scratch, journal, stopAt, afterMs, noted },
      qemuPid: guest.pid(),
      console: guest.console,
    }
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, COPY_PROCESS, JSON.stringify(options)])
    let words = ''
    child.stderr.on('data', (piece: Buffer) => (words += piece.toString()))
    const signal = await new Promise(resolve => child.once('close', (_code, name) => resolve(name)))
    t.equal(signal, victim === 'qemu' ? null : 'SIGKILL', `${what}: the blow fell ${words}`)
    const acknowledged = Number(readFileSync(noted, 'utf8'))
    t.ok(acknowledged > 0, `${what}: the guest had written`)
    return { what, journal, noted: acknowledged }
  }

  await t.test('of ours, at each step', async t => {
    for (const blow of OURS) {
      const { what, journal, noted } = await strike(t, blow)
      t.strictSame(await undoAll(journal), [], `${what}: all is put away`)
      t.strictSame(await libvirt.job(DOMAIN), { kind: 'none' }, `${what}: no job is left`)
      t.strictSame(readdirSync(scratch), [], `${what}: no scratch file is left`)
      t.equal((await libvirt.domain(DOMAIN)).disks[0]?.path, image, `${what}: the guest writes to its own disk`)
      t.equal(await guestAgent(libvirt, DOMAIN, systemClock).isFrozen(), false, `${what}: the guest is not frozen`)
      t.ok((await guest.acknowledged()) >= noted, `${what}: its writes are there`)
    }
    t.equal(Number(await guest.shell('wc -l < /root/afters')), runs, 'the script that was due has run each time')
  })
  t.comment(`${OURS.length} crashes of ours`)

  /** What the operator is told to do about an overlay that outlived its run. */
  const decide = async (
    t: Test,
    failure: GranaryError,
    { what, journal }: { readonly what: string; readonly journal: string },
  ): Promise<void> => {
    t.match(
      failure,
      { code: 'GRANARY_REMOTE', hint: /qemu-img commit -d/, detail: { bases: image } },
      `${what}: it is told`,
    )
    const overlay = failure.detail['overlays'] as string
    t.ok(existsSync(overlay), `${what}: nothing was deleted`)
    t.equal((await undoAll(journal)).length, 1, `${what}: nor by the start after`)
    t.ok(existsSync(overlay))
    await run('qemu-img', ['commit', '-q', '-d', overlay])
    t.strictSame(await undoAll(journal), [], `${what}: what was committed is deleted`)
  }

  await t.test('of QEMU, and of both', async t => {
    for (const blow of QEMUS) {
      const { what, journal, noted } = await strike(t, blow)
      await guest.isOff()
      // The platform gives the domain its own disks again, whatever libvirt remembers.
      await guest.define()
      const [failure, ...more] = await undoAll(journal)
      t.strictSame(more, [])
      if (failure !== undefined) {
        t.equal(blow.method, 'overlay', `${what}: only overlays are left to decide about`)
        await decide(t, failure, { what, journal })
      }
      t.strictSame(readdirSync(scratch), [], `${what}: no scratch file is left`)
      await guest.start()
      t.ok((await guest.acknowledged()) >= noted, `${what}: its ${noted} writes are there`)
      await guest.startWriter()
    }
  })
  t.comment(`${QEMUS.length} crashes of QEMU`)

  await t.test('of both, and started again from its base before anybody looked', async t => {
    const { journal } = await strike(t, { method: 'overlay', victim: 'both', step: 'reading', afterMs: 0 })
    await guest.isOff()
    await guest.define()
    await guest.start()
    const [failure] = await undoAll(journal)
    t.match(failure, {
      code: 'GRANARY_REMOTE',
      message: /started again.*Nothing was deleted/,
      detail: { state: 'running' },
    })
    const overlay = failure?.detail['overlays'] as string
    t.ok(existsSync(overlay), 'the overlay is kept: it may hold the only copy')
    t.equal((await libvirt.domain(DOMAIN)).disks[0]?.path, image)
    rmSync(overlay)
    t.strictSame(await undoAll(journal), [], 'the operator has decided')
    t.strictSame(readdirSync(scratch), [])
  })

  await t.test('in the middle of a freeze, with all that would thaw', async t => {
    const [journal, ours] = [join(folder, 'journal-frozen'), join(scratch, 'granary-frozen')]
    await fileJournal(journal).intend({ kind: 'host-pull', domain: DOMAIN, uri: libvirt.uri, folder: ours })
    mkdirSync(ours)
    await libvirt.run(['domfsfreeze', DOMAIN])
    const agent = guestAgent(libvirt, DOMAIN, systemClock)
    t.equal(await agent.isFrozen(), true)
    t.strictSame(await undoAll(journal), [])
    t.equal(await agent.isFrozen(), false, 'the next start thaws')
    t.strictSame(readdirSync(scratch), [])
  })

  await t.test('of ours, and the machine moved to another host with its overlays', async t => {
    await guest.startWriter()
    const { journal, noted } = await strike(t, { method: 'overlay', victim: 'us', step: 'reading', afterMs: 0 })
    const other = await startDaemon(t, join(folder, 'run2'), 'host2')
    const way = ['--live', '--unsafe', DOMAIN, other.uri, '--migrateuri', 'tcp:127.0.0.1']
    await libvirt.run(['migrate', ...way], { timeoutMs: 0 })
    t.equal(await libvirt.state(DOMAIN), 'shut off', 'it runs here no more')
    const failures = await undoAll(journal)
    t.match(failures, [{ message: /moved.*Nothing was deleted/ }])
    await guest.define() // What libvirt remembers of it here is no longer the reason.
    t.match(await undoAll(journal), [{ message: /moved.*Nothing was deleted/ }], 'it is in use on the other host')
    const overlay = failures[0]?.detail['overlays'] as string
    t.ok(existsSync(overlay))
    t.equal((await other.domain(DOMAIN)).disks[0]?.path, overlay)

    const [left] = unsettled(journal)
    if (left === undefined) return t.fail('there is an intent')
    await undoHostIntent(other, left.intent, { clock: systemClock })
    t.equal((await other.domain(DOMAIN)).disks[0]?.path, image, 'there, the mark tells that it is the same run')
    t.strictSame(readdirSync(scratch), [])
    await other.run(['destroy', DOMAIN])
    await guest.start()
    t.ok((await guest.acknowledged()) >= noted, 'its writes are there')
  })
})

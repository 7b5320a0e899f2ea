/** A process that copies a VM and ends itself, QEMU, or both at one step, as a crash would: `copy-process.js JSON`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '@granary/dedup-store'
import { Libvirt, betweenScripts, openOverlayCopy, openPullCopy } from '../../src/index.ts'
import type { HostStep } from '../../src/index.ts'
import { fileJournal } from './file-journal.ts'
import { acknowledgedIn, processesWith } from './private-libvirt.ts'

/** `all`: with us the child that freezes and thaws, as when a service manager ends a whole group. */
export type Victim = 'us' | 'all' | 'qemu' | 'both'

export interface CopyProcessOptions {
  readonly uri: string
  readonly domain: string
  readonly method: 'pull' | 'overlay'
  readonly victim: Victim
  readonly scratch: string
  readonly journal: string
  readonly stopAt: HostStep
  /** Milliseconds after the step. */
  readonly afterMs: number
  readonly qemuPid: number
  /** The guest's console, and where to note what it had acknowledged when the blow fell. */
  readonly console: string
  readonly noted: string
}

const options = JSON.parse(process.argv[2] as string) as CopyProcessOptions
const { domain, method, victim, scratch, stopAt, afterMs } = options
const libvirt = new Libvirt({ uri: options.uri })
const journal = fileJournal(options.journal)

const endProcess = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // It ended by itself.
  }
}

let struck = false
const strike = (): void => {
  if (struck) return
  struck = true
  writeFileSync(options.noted, String(acknowledgedIn(readFileSync(options.console, 'utf8'))))
  if (victim === 'all')
    for (const program of ['flock', 'virsh']) for (const pid of processesWith(program, options.uri)) endProcess(pid)
  if (victim === 'qemu' || victim === 'both') process.kill(options.qemuPid, 'SIGKILL')
  if (victim !== 'qemu') process.kill(process.pid, 'SIGKILL')
}
const onStep = (step: HostStep): void => {
  if (step !== stopAt) return
  if (afterMs === 0) strike()
  else setTimeout(strike, afterMs)
}

const open = method === 'pull' ? openPullCopy : openOverlayCopy
const scripts = { after: '/root/after.sh' }
await betweenScripts({ libvirt, domain, scripts, journal, clock: systemClock }, async () => {
  const copy = await open({
    libvirt,
    domain,
    scratch: { folder: scratch, reserveBytes: 0 },
    journal,
    clock: systemClock,
    onStep,
  })
  try {
    await copy.disks[0]?.disk.read(0, new Uint8Array(1024 * 1024))
    await copy.verify()
  } finally {
    await copy[Symbol.asyncDispose]()
  }
}).catch((error: unknown) => {
  if (victim !== 'qemu' || !struck) throw error
})
// A moment that falls after the end of a short copy.
await sleep(struck ? 0 : afterMs + 1000)
strike()

/** A process that copies a VM and kills itself at one step, as a crash would: `copy-process.js JSON`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '@granary/dedup-store'
import { Libvirt, betweenScripts, openOverlayCopy, openPullCopy } from '../../src/host/index.ts'
import type { HostStep } from '../../src/host/index.ts'
import { fileJournal } from './file-journal.ts'

export interface CopyProcessOptions {
  readonly uri: string
  readonly domain: string
  readonly method: 'pull' | 'overlay'
  readonly scratch: string
  readonly journal: string
  readonly stopAt: HostStep
  /** Milliseconds after the step. */
  readonly afterMs: number
}

const {
  uri,
  domain,
  method,
  scratch,
  journal: path,
  stopAt,
  afterMs,
} = JSON.parse(process.argv[2] as string) as CopyProcessOptions
const libvirt = new Libvirt({ uri })
const journal = fileJournal(path)
const end = (): boolean => process.kill(process.pid, 'SIGKILL')
const onStep = (step: HostStep): void => {
  if (step !== stopAt) return
  if (afterMs === 0) end()
  else setTimeout(end, afterMs)
}
const open = method === 'pull' ? openPullCopy : openOverlayCopy
const scripts = { after: '/root/after.sh' }
await betweenScripts({ libvirt, domain, scripts, journal, clock: systemClock }, async () => {
  const copy = await open({ libvirt, domain, scratch: { folder: scratch }, journal, clock: systemClock, onStep })
  await copy.disks[0]?.disk.read(0, new Uint8Array(1024 * 1024))
  await copy[Symbol.asyncDispose]()
})
await sleep(afterMs + 1000)
end()

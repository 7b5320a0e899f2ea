/** What is begun on hosts, in the adapter's journal. @module */
import { GranaryError, isGranaryError } from '@granary/core'
import { factOf } from '../journal/entry.ts'
import type { Journal } from '../journal/journal.ts'
import type { Undo, UndoTable } from '../clean/undo.ts'
import type { HostIntent, HostJournal } from './intents.ts'
import { Libvirt } from './libvirt.ts'
import { undoHostIntent } from './recover-host.ts'
import { lookAtOverlays } from './settle-overlays.ts'

/** @param vmName for people who read of it later */
export const hostJournal = (journal: Journal, engine: string, vmName: string): HostJournal => ({
  async intend(intent) {
    const { kind, domain, uri } = intent
    const entry = await journal.begin(kind, engine, { vm: domain, vmName, uri, intent: JSON.stringify(intent) })
    return async () => await entry.end()
  },
})

const undo: Undo = async ({ engine, entry, isDry, signal }) => {
  const { pending } = entry
  const intent = intentOf(factOf(pending, 'intent'))
  const name = factOf(pending, 'vmName') ?? intent.domain
  const what = WHAT[intent.kind]
  const libvirt = new Libvirt({ uri: intent.uri })
  if (isDry) {
    if (intent.kind === 'host-overlay') await lookAtOverlays(libvirt, intent)
    return { kind: 'undone', text: `${what} of ${name} is put away` }
  }
  try {
    await undoHostIntent(libvirt, intent, { clock: engine.clock, signal })
    return { kind: 'undone', text: `${what} of ${name} is put away` }
  } catch (error) {
    // Of a script only that the guest could not be asked is a reason to try again: it ran, or never will.
    if (intent.kind !== 'host-script' || !isGranaryError(error) || error.retryable) throw error
    return { kind: 'undone', text: `${what} of ${name} failed: ${error.message}` }
  }
}

const WHAT: Readonly<Record<HostIntent['kind'], string>> = {
  'host-pull': 'the backup job on the host',
  'host-overlay': 'the overlays on the host',
  'host-script': 'the script that was due in the guest',
}

const intentOf = (text: string | undefined): HostIntent => {
  if (text !== undefined) return JSON.parse(text) as HostIntent
  throw new GranaryError('GRANARY_CORRUPT', 'an entry of the journal about a host does not say what was begun')
}

/** Of copies on hosts. */
export const HOST_UNDO: UndoTable = { 'host-pull': undo, 'host-overlay': undo, 'host-script': undo }

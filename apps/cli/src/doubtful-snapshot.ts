/** What is said before a snapshot is read that nobody who counts has signed. @module */
import { readSnapshot } from '@granary/dedup-store'
import type { Repository, Snapshot } from '@granary/dedup-store'
import { shortId, signerOf } from './snapshot-output.ts'
import type { Terminal } from './terminal/terminal.ts'

/** Reads a snapshot's manifest, and warns, once for each, where its signature does not count. */
export const readSnapshotToUse = async (
  { context }: Repository,
  id: string,
  { terminal, signal }: { readonly terminal: Terminal; readonly signal: AbortSignal },
): Promise<Snapshot> => {
  const snapshot = await readSnapshot(context, id, { signal })
  if (!snapshot.signedBy.isVerified)
    terminal.warnOnce(
      `snapshot ${shortId(id)} is signed by nobody who counts (${signerOf(snapshot)}): its content is whoever's it was`,
    )
  return snapshot
}

/**
 * Looks whether the snapshots of a repository are those that were made: signatures, and the chain of each series. It reads no
 * data; that is `check`'s.
 *
 * @module
 */
import type { AbortOptions } from '@granary/core'
import type { Repository } from '../repository.ts'
import type { RepositoryContext } from '../sessions/context.ts'
import { readForgetMarks } from '../sessions/forget-marks.ts'
import { readSigners } from '../sessions/signers.ts'
import type { Signers } from '../sessions/signers.ts'
import { isForgotten, listDecisions, listForgotten } from '../sessions/snapshots.ts'
import { checkChain } from './chain.ts'
import type { Head, Link, SeriesReport, VerifyProblem } from './chain.ts'

export interface VerifyOptions extends AbortOptions {
  /** What must be there, or have been forgotten by a key holder: heads that were seen before. Without it a tail cut off does not show. */
  readonly expected?: readonly (Head | { readonly hash: string; readonly id?: string })[]
}

export interface VerifyReport {
  /** By name. */
  readonly series: readonly SeriesReport[]
  readonly problems: readonly VerifyProblem[]
  /** Manifests whose signature was verified and whose key counts, of forgotten snapshots, too. */
  readonly verified: number
}

/** Verifies signatures and chains of all snapshots, forgotten ones too. Forks are shown and are no problem. */
export const verify = async ({ context }: Repository, options: VerifyOptions = {}): Promise<VerifyReport> => {
  const { signal, expected = [] } = options
  const problems: VerifyProblem[] = []
  const signers = await readSigners(context, { signal })
  const { signed: forgets, others } = await readForgetMarks(context, signers, { signal })
  for (const [snapshot, what] of others)
    problems.push({ kind: 'forget', series: null, snapshot, message: `${snapshot} ${what}` })
  const { series, catalogs } = await readLinks(context, { signers, problems }, signal)
  const reports: SeriesReport[] = []
  for (const [name, links] of [...series].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const { report, problems: found } = checkChain(name, links, forgets)
    reports.push(report)
    problems.push(...found)
  }
  const links = [...series.values()].flat()
  for (const { id, hash } of links) {
    const forgotten = forgets.get(id)
    if (forgotten !== undefined && forgotten !== hash)
      problems.push({ kind: 'changed', series: null, snapshot: id, message: `${id} is another one than was forgotten` })
  }
  for (const head of expected) {
    const isIts = (id: string, hash: string): boolean => hash === head.hash && (head.id === undefined || head.id === id)
    if (links.some(({ id, hash }) => isIts(id, hash)) || [...forgets].some(([id, hash]) => isIts(id, hash))) continue
    const message = `${head.id ?? head.hash}, which was seen before, is not there: the repository, or the end of a series, was rolled back`
    problems.push({ kind: 'head', series: null, snapshot: head.id ?? null, message })
  }
  const verified = [...links, ...catalogs].filter(({ signedBy }) => signedBy.isVerified).length
  return { series: reports, problems, verified }
}

interface Gathered {
  readonly signers: Signers
  readonly problems: VerifyProblem[]
}

/** Snapshots by series; catalogs stand apart from every series. */
const readLinks = async (
  context: RepositoryContext,
  { signers, problems }: Gathered,
  signal: AbortSignal | undefined,
): Promise<{ series: Map<string, Link[]>; catalogs: Link[] }> => {
  const forgotten = await listForgotten(context, { signal })
  const series = new Map<string, Link[]>()
  const catalogs: Link[] = []
  const onDamaged = (snapshot: string, { message }: Error): void =>
    void problems.push({ kind: 'damaged', series: null, snapshot, message })
  for await (const { sid, decision } of listDecisions(context, { signal, onDamaged })) {
    if (decision.kind !== 'manifest' || decision.manifest.kind !== 'snapshot') continue
    const { manifest, hash, signer } = decision
    const link: Link = {
      id: sid,
      hash,
      prev: manifest.prev,
      timeMs: manifest.timeMs,
      signedBy: signers.judge(signer, sid),
      isForgotten: isForgotten(forgotten, sid, manifest),
    }
    if (manifest.catalogOf !== undefined) catalogs.push(link)
    else series.set(manifest.name, [...(series.get(manifest.name) ?? []), link])
  }
  return { series, catalogs }
}

/** Which snapshots a retention policy keeps. @module */
import { GranaryError } from '@granary/core'
import type { Snapshot } from './snapshots.ts'

/** How many of each kind to keep, per series. At least one must be given: a policy that keeps nothing is a mistake. */
export interface RetentionPolicy {
  readonly keepLast?: number
  readonly keepDaily?: number
  readonly keepWeekly?: number
  readonly keepMonthly?: number
}

/** Of snapshots that are kept and not trusted; its value says why, for people. */
export const INCONSISTENT_LABEL = 'inconsistent'

export interface RetentionPlan {
  readonly keep: readonly { readonly snapshot: Snapshot; readonly reasons: readonly string[] }[]
  readonly forget: readonly Snapshot[]
}

/** The last snapshot of each period counts, as the machine's clock and UTC have it. */
const PERIODS: readonly {
  readonly rule: keyof RetentionPolicy
  readonly reason: string
  readonly periodOf: (s: Snapshot) => string
}[] = [
  { rule: 'keepLast', reason: 'last', periodOf: snapshot => snapshot.id },
  { rule: 'keepDaily', reason: 'daily', periodOf: snapshot => new Date(snapshot.timeMs).toISOString().slice(0, 10) },
  { rule: 'keepWeekly', reason: 'weekly', periodOf: snapshot => String(weekOf(snapshot.timeMs)) },
  { rule: 'keepMonthly', reason: 'monthly', periodOf: snapshot => new Date(snapshot.timeMs).toISOString().slice(0, 7) },
]

const DAY_MS = 86_400_000

/** Weeks since the Monday before 1970-01-01, which was a Thursday. */
const weekOf = (timeMs: number): number => Math.floor((timeMs / DAY_MS + 3) / 7)

/**
 * Applies a policy to each series apart, and in it to what key holders and each write-only client made. Snapshots that are
 * labelled inconsistent push no other one out: they are counted among themselves while they are newer than the last one that is
 * not, and forgotten after that.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a count is no whole number, or all are zero or missing
 */
export const planRetention = (snapshots: readonly Snapshot[], policy: RetentionPolicy): RetentionPlan => {
  const counts = PERIODS.map(({ rule }) => policy[rule] ?? 0)
  if (counts.some(count => !Number.isSafeInteger(count) || count < 0) || counts.every(count => count === 0)) {
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'expected at least one keep count, each a whole number from 0', {
      hint: 'for instance --keep-last 3 --keep-daily 7',
    })
  }
  const reasons = new Map<Snapshot, readonly string[]>()
  for (const series of groupByName(snapshots).values()) {
    const newestFirst = series.toSorted((a, b) => b.timeMs - a.timeMs || (a.id < b.id ? 1 : -1))
    const lastGood = newestFirst.findIndex(snapshot => !isInconsistent(snapshot))
    applyRules(
      newestFirst.filter(snapshot => !isInconsistent(snapshot)),
      policy,
      reasons,
    )
    applyRules(lastGood < 0 ? newestFirst : newestFirst.slice(0, lastGood), policy, reasons)
  }
  return {
    keep: snapshots.flatMap(snapshot => {
      const why = reasons.get(snapshot)
      return why === undefined ? [] : [{ snapshot, reasons: why }]
    }),
    forget: snapshots.filter(snapshot => !reasons.has(snapshot)),
  }
}

const isInconsistent = ({ labels }: Snapshot): boolean => labels[INCONSISTENT_LABEL] !== undefined

const applyRules = (
  newestFirst: readonly Snapshot[],
  policy: RetentionPolicy,
  reasons: Map<Snapshot, readonly string[]>,
): void => {
  for (const { rule, reason, periodOf } of PERIODS) {
    const periods = new Set<string>()
    for (const snapshot of newestFirst) {
      const period = periodOf(snapshot)
      if (periods.has(period)) continue
      if (periods.size >= (policy[rule] ?? 0)) break
      periods.add(period)
      reasons.set(snapshot, [...(reasons.get(snapshot) ?? []), reason])
    }
  }
}

/** Who can only write may not push out what others made by storing under their name: each signer's part of a series stands alone. */
const groupByName = (snapshots: readonly Snapshot[]): Map<string, Snapshot[]> => {
  const series = new Map<string, Snapshot[]>()
  for (const snapshot of snapshots) {
    const { kind, isVerified } = snapshot.signedBy
    const group = JSON.stringify([snapshot.name, isVerified, kind === 'client' ? snapshot.signer : kind])
    const known = series.get(group)
    if (known === undefined) series.set(group, [snapshot])
    else known.push(snapshot)
  }
  return series
}

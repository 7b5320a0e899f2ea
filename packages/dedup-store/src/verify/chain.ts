/** The chain of a series: every snapshot names the one before it by its hash, so what was taken out or changed shows. @module */
import type { SignedBy } from '../sessions/signers.ts'

/** A snapshot as the chain sees it, forgotten or not. */
export interface Link {
  readonly id: string
  /** Of its sealed manifest. */
  readonly hash: string
  readonly prev: { readonly sid: string; readonly hash: string } | null
  readonly timeMs: number
  readonly signedBy: SignedBy
  readonly isForgotten: boolean
}

/** The last snapshot of a series, or of one branch of it. */
export interface Head {
  readonly id: string
  readonly hash: string
}

export interface SeriesReport {
  readonly name: string
  /** That are there and not forgotten. */
  readonly snapshots: number
  readonly forgotten: number
  /** More than one where the series has forked. */
  readonly heads: readonly Head[]
  /** Snapshots that have the same one before them; `prev` is null for several beginnings. Legal: two writers did not know of each other. */
  readonly forks: readonly { readonly prev: string | null; readonly ids: readonly string[] }[]
}

export interface VerifyProblem {
  /**
   * `damaged`: an object can't be read. `signature`: signed by nobody who counts. `removed`: a snapshot that another one
   * names is gone, and no key holder forgot it. `changed`: it is another one than it was. `forget`: a mark that no key holder
   * signed, so a removal. `head`: one that was expected is not there.
   */
  readonly kind: 'damaged' | 'signature' | 'removed' | 'changed' | 'forget' | 'head'
  readonly series: string | null
  readonly snapshot: string | null
  readonly message: string
}

/**
 * What is wrong with a chain.
 *
 * @param forgets hashes that key holders have signed to be forgotten, by snapshot
 */
export const checkChain = (
  name: string,
  links: readonly Link[],
  forgets: ReadonlyMap<string, string>,
): { report: SeriesReport; problems: VerifyProblem[] } => {
  const byId = new Map(links.map(link => [link.id, link]))
  const problems: VerifyProblem[] = []
  const add = (kind: VerifyProblem['kind'], snapshot: string, message: string): void =>
    void problems.push({ kind, series: name, snapshot, message })
  const followers = new Map<string | null, string[]>()
  for (const { id, prev, signedBy } of links) {
    followers.set(prev?.sid ?? null, [...(followers.get(prev?.sid ?? null) ?? []), id])
    if (!signedBy.isVerified) add('signature', id, `${id} is signed by ${describeSigner(signedBy)}`)
    if (prev === null) continue
    const before = byId.get(prev.sid)
    if (before === undefined) {
      if (forgets.get(prev.sid) !== prev.hash)
        add('removed', prev.sid, `${prev.sid}, which ${id} follows, is gone, and no key holder has forgotten it`)
    } else if (before.hash !== prev.hash) add('changed', prev.sid, `${prev.sid} is another one than ${id} follows`)
  }
  const report: SeriesReport = {
    name,
    snapshots: links.filter(link => !link.isForgotten).length,
    forgotten: links.filter(link => link.isForgotten).length,
    heads: links.filter(({ id }) => !followers.has(id)).map(({ id, hash }) => ({ id, hash })),
    forks: [...followers].filter(([, ids]) => ids.length > 1).map(([prev, ids]) => ({ prev, ids })),
  }
  return { report, problems }
}

const describeSigner = ({ kind, name }: SignedBy): string =>
  kind === 'unknown' ? 'a key that nobody vouches for' : `${kind} ${name ?? ''}, whose key was revoked before`

/** What every part of an open repository works with. @module */
import type { Backend } from '../backends/backend.ts'
import type { RepositoryKeys } from '../format/repository-keys.ts'
import type { Clock } from './clock.ts'

export interface RepositoryContext {
  readonly backend: Backend
  readonly keys: RepositoryKeys
  readonly clock: Clock
  /** After this long without a sign of life a session may be fenced and a pin removed. */
  readonly timeToLiveMs: number
  /** Bytes of index pages kept in memory. */
  readonly indexCacheBytes?: number
  /** Number of the last collection whose decisions may lack a signature: those from before decisions were signed. @default 0 */
  readonly unsignedCollections?: number
}

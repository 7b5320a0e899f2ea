/** What puts members together to volumes. @module */
import type { AbortOptions } from '@granary/core'
import type { Candidate, FoundMember } from './detect.ts'
import type { WarningLog } from './warnings.ts'

export interface AssembleOptions extends AbortOptions {
  readonly warnings: WarningLog
}

export interface Assembler {
  /** What its members' `of` says. */
  readonly name: string
  assemble(members: readonly FoundMember[], options: AssembleOptions): Promise<readonly Candidate[]>
}

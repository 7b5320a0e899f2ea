/** The table of assemblers: those that may lie inside others last. @module */
import type { Assembler } from './assembler.ts'
import { lvmAssembler } from './containers/lvm/assemble.ts'
import { mdAssembler } from './containers/md/md.ts'

export const assemblers: readonly Assembler[] = [mdAssembler, lvmAssembler]

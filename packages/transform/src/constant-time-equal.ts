/** Comparison of secrets. @module */
import { timingSafeEqual } from 'node:crypto'
import type { Bytes } from '@granary/core'

/** True when both are the same bytes. Takes as long for a difference in the first byte as in the last; lengths are no secret. */
export const constantTimeEqual = (a: Bytes, b: Bytes): boolean => a.length === b.length && timingSafeEqual(a, b)

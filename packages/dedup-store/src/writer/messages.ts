/** What the main thread and a window worker say to each other. Bytes never travel: both see the worker's arena. @module */
import type { Bytes, ErrorDetail } from '@granary/core'
import { GranaryError, isGranaryError } from '@granary/core'
import type { ErrorCode } from '@granary/core'
import type { WindowJob, WindowResult } from './window-job.ts'

/** A place in the worker's arena. */
export interface Place {
  readonly pointer: number
  readonly length: number
}

/** From the main thread. */
export type ToWorker =
  | { readonly type: 'store'; readonly job: WindowJob }
  | { readonly type: 'finish' }
  | { readonly type: 'reply'; readonly id: number; readonly value?: Bytes; readonly error?: PlainError }

/** From the worker; those with an `id` want a reply. */
export type FromWorker =
  | { readonly type: 'ready'; readonly memory: SharedArrayBuffer }
  | { readonly type: 'done'; readonly result?: WindowResult; readonly error?: PlainError }
  | { readonly type: 'read'; readonly id: number; readonly offset: number; readonly target: Place }
  | { readonly type: 'claim'; readonly id: number; readonly ids: Bytes }
  | {
      readonly type: 'emit'
      readonly id: number
      readonly number: number
      readonly bytes: Place
      readonly end?: { uid: Bytes; ids: Bytes }
    }

/** An error as a message: structured clone loses classes. */
export interface PlainError {
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly detail?: ErrorDetail
  readonly hint?: string
  readonly retryable?: boolean
  readonly stack?: string
}

export const toPlainError = (error: unknown): PlainError => {
  if (isGranaryError(error)) {
    const { code, message, detail, retryable } = error
    return { code, message, detail, retryable, ...(error.hint === undefined ? {} : { hint: error.hint }) }
  }
  if (!(error instanceof Error)) return { code: undefined, message: String(error) }
  return { code: undefined, message: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) }
}

export const fromPlainError = ({ code, message, stack, ...options }: PlainError): Error => {
  if (code !== undefined) return new GranaryError(code, message, options)
  const error = new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}

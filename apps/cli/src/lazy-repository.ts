/** A repository that is opened only when a stored disk is named. @module */
import type { Repository } from '@granary/dedup-store'
import type { Invocation } from './command.ts'
import { openRepositoryOf } from './open-repository.ts'

export interface LazyRepository extends AsyncDisposable {
  readonly open: () => Promise<Repository>
}

export const lazyRepository = (invocation: Invocation): LazyRepository => {
  let opened: Promise<Repository> | undefined
  return {
    open: async () => await (opened ??= openRepositoryOf(invocation)),
    async [Symbol.asyncDispose]() {
      const repository = await opened?.catch(() => undefined)
      await repository?.[Symbol.asyncDispose]()
    },
  }
}

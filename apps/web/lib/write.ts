'use client';
import { useMutation, useQueryClient, type UseMutationResult } from '@tanstack/react-query';
import { request, requestNothing, type AnswerSchema, type RequestOptions } from './request.ts';
import { useSession } from './session.tsx';

export interface Write {
  readonly path: string;
  readonly method: 'POST' | 'DELETE';
  readonly body?: unknown;
}

function optionsOf(write: Write, csrfToken: string | undefined): RequestOptions {
  return { method: write.method, ...(write.body === undefined ? {} : { body: write.body }), ...(csrfToken === undefined ? {} : { csrfToken }) };
}

/** A write whose answer is not needed. Every view is asked again afterwards, whatever came of it. */
export function useWrite(): UseMutationResult<void, Error, Write> {
  const session = useSession();
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (write: Write) => requestNothing(write.path, optionsOf(write, session?.csrfToken)),
    onSettled: async () => client.invalidateQueries(),
  });
}

/** A write whose answer is checked against the contract and kept. */
export function useWriteFor<T>(schema: AnswerSchema<T>): UseMutationResult<T, Error, Write> {
  const session = useSession();
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (write: Write) => request(write.path, schema, optionsOf(write, session?.csrfToken)),
    onSettled: async () => client.invalidateQueries(),
  });
}

import { expect, it } from 'vitest';
import { grpcRefusal } from './grpc-refusal.ts';

it.each([
  [400, '3'], [401, '16'], [403, '7'], [404, '12'], [429, '14'], [431, '8'], [501, '12'], [502, '14'], [503, '14'], [504, '14'], [500, '13'], [408, '13'],
])('says %i in the words of gRPC', (status, code) => {
  expect(grpcRefusal('application/grpc', status, 'policy-deny', 'access denied')?.fields).toEqual([
    ['content-type', 'application/grpc'], ['grpc-status', code], ['grpc-message', 'access denied'], ['x-sallyport-reason', 'policy-deny'],
  ]);
});

it.each([
  ['application/grpc+proto', 'application/grpc+proto'], ['Application/gRPC; charset=utf-8', 'application/grpc'], ['application/grpc+json;x=y', 'application/grpc+json'],
])('answers %s in its own kind', (given, type) => {
  expect(grpcRefusal(given, 403, 'policy-deny', 'no')?.fields[0]).toEqual(['content-type', type]);
});

it.each([[null], [''], ['text/plain'], ['application/grpc-web'], ['application/grpc-web+proto'], ['application/grpcx']])('leaves %s alone', (given) => {
  expect(grpcRefusal(given, 403, 'policy-deny', 'no')).toBeNull();
});

it('encodes what a field cannot hold', () => {
  expect(grpcRefusal('application/grpc', 403, 'policy-deny', ' 100 % – "no"\r\nx: y ')?.fields[2]).toEqual(['grpc-message', '%20100 %25 %E2%80%93 "no"%0D%0Ax: y%20']);
});

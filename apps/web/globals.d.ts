// next-env.d.ts is written by the build and not kept; the type checker must not need a build first.
/// <reference types="next" />
declare module '*.css';

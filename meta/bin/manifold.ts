import { boot } from './boot.ts';
import { startManifold } from './start-manifold.ts';

boot(() => void startManifold());

import{a}from"./chunk-LLXBJG5C.js";import"./chunk-6ATBPRIA.js";export default a();

"""A picture, a folder or a video through all of it: find, align, swap, blend back, mark, write."""

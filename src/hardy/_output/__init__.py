"""`hardy run --prefix`: each line of output bears the name and pid of the process that wrote it.

Each process writes into two pipes of its own, in the place of its standard output and error; so C code, and programs
that it starts, do too. One other process, the printer, reads them all and writes whole lines, so that the lines of
several processes cannot mix. What a process wrote is in its pipe, and is printed though it is killed the next moment.

    hardy run    forks the printer, which alone keeps the real standard output and error; then joins as below
    a process    makes two pipes, hands their reading ends to the printer's socket, and puts the others over 1 and 2
    the printer  ends when every pipe is closed, that is, when every process has ended

The printer is a grandchild in a session of its own: it is no child that the program could wait for, and a signal to
the program's group does not end it before it has printed what was written. Rejected: the program as the printer's
child, for then its pid, its signals and its end would not be those of the command.

A process that cannot join (no descriptor, the printer killed) goes on writing where its parent writes. Who has a pipe
without being a process of the program, such as a program started by `subprocess`, writes under its parent's name.
"""

PROGRAM = "import os; print(os.getpid())"

if __name__ == "__main__":
    pids = []
    # 把 PROGRAM 运行五次，每次打印出的编号放进 pids。
    print(len(pids), "次运行，同一个程序")
    print(len(set(pids)), "个进程")

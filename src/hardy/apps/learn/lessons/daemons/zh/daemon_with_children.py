import multiprocessing

import hardy


def grandchild() -> None:
    print("孙子：我活着")


def daemon(module) -> None:
    process = module.Process(target=grandchild)
    try:
        process.start()
        process.join()
    except AssertionError as error:
        print("AssertionError:", error)


if __name__ == "__main__":
    for module in (multiprocessing, hardy):
        print(f"用 {module.__name__}：")
        process = module.Process(target=daemon, args=(module,), daemon=True)
        process.start()
        process.join()
